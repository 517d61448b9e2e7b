"""The one replay buffer: the LLM's transitions stay for good, the learner's own rotate."""

from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """B transitions (s, a, r, s', terminated).

    observations, next_observations: (B,) int64 or (B, n) float32. actions: (B,) int64. rewards: (B,) float32.
    terminated: (B,) bool, true where s' is a terminal state. from_llm: (B,) bool.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: np.ndarray
    terminated: np.ndarray
    from_llm: np.ndarray


class ReplayBuffer:
    """At most `capacity` transitions: first the LLM's, all of them, then the newest of the learner's own.

    observation_space: a gymnasium.Space, for the shape and dtype of an observation. from_llm: how many are the LLM's.
    """

    def __init__(self, capacity, observation_space):
        rows, (shape, dtype) = capacity, (observation_space.shape, observation_space.dtype)
        observations, next_observations = np.zeros((2, rows, *shape), dtype)
        actions, rewards = np.zeros(rows, np.int64), np.zeros(rows, np.float32)
        terminated, from_llm = np.zeros((2, rows), bool)
        self.columns = Batch(observations, actions, rewards, next_observations, terminated, from_llm)
        self.capacity, self.from_llm, self.added = capacity, 0, 0

    @property
    def own(self):
        """How many are the learner's own."""
        return min(self.added, self.capacity - self.from_llm)

    def __len__(self):
        return self.from_llm + self.own

    def add(self, observation, action, reward, next_observation, terminated, from_llm=False):
        """Adds a transition: one of the LLM's for good, one of the learner's in place of its oldest if need be.

        Raises ValueError for one of the LLM's if it comes after the learner's first, or leaves no room for any.
        """
        if from_llm:
            if self.added or self.from_llm == self.capacity - 1:
                raise ValueError(f"a buffer of {self.capacity} has no room for one more of the LLM's transitions")
            row, self.from_llm = self.from_llm, self.from_llm + 1
        else:
            row, self.added = self.from_llm + self.added % (self.capacity - self.from_llm), self.added + 1
        transition = observation, action, reward, next_observation, terminated, from_llm
        for column, value in zip(self.columns, transition):
            column[row] = value

    def sample(self, size, llm_share, rng):
        """A Batch of `size` transitions, drawn with replacement by the numpy.random.Generator `rng`.

        round(size llm_share) are the LLM's, first, and the rest the learner's own; while there are none of one kind,
        all are of the other. Raises ValueError if there are none at all.
        """
        if not len(self):
            raise ValueError("an empty buffer has nothing to sample")
        n_llm = round(size * llm_share) if self.own and self.from_llm else size * (self.from_llm > 0)
        rows = np.empty(size, np.int64)
        if n_llm:
            rows[:n_llm] = rng.integers(self.from_llm, size=n_llm)
        if n_llm < size:
            rows[n_llm:] = rng.integers(self.from_llm, len(self), size=size - n_llm)
        return Batch(*(column.take(rows, axis=0) for column in self.columns))
