"""The one replay buffer: the LLM's transitions stay for good, the learner's own rotate."""

from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """B transitions (s, a, r, s', terminated), and whose they are."""

    observations: np.ndarray  # (B,) int64 or (B, n) float32
    actions: np.ndarray  # (B,) int64
    rewards: np.ndarray  # (B,) float32
    next_observations: np.ndarray  # like observations
    terminated: np.ndarray  # (B,) bool: is s' a terminal state?
    from_llm: np.ndarray  # (B,) bool


class ReplayBuffer:
    """At most `capacity` transitions: first the LLM's, `n_llm` of them, then the newest of the learner's own."""

    def __init__(self, capacity, observation_space):
        observations, next_observations = np.zeros((2, capacity, *observation_space.shape), observation_space.dtype)
        actions, rewards = np.zeros(capacity, np.int64), np.zeros(capacity, np.float32)
        terminated, from_llm = np.zeros((2, capacity), bool)
        self.columns = Batch(observations, actions, rewards, next_observations, terminated, from_llm)
        self.capacity, self.n_llm, self.added = capacity, 0, 0

    def __len__(self):
        return min(self.n_llm + self.added, self.capacity)

    def add(self, observation, action, reward, next_observation, terminated, from_llm=False):
        """Adds a transition: one of the LLM's for good, one of the learner's in place of its oldest if need be.
        Raises ValueError for one of the LLM's that comes after the learner's first, or leaves no room for any."""
        if from_llm:
            if self.added or self.n_llm == self.capacity - 1:
                raise ValueError(f"a buffer of {self.capacity} has no room for the LLM's transitions; make it larger")
            row, self.n_llm = self.n_llm, self.n_llm + 1
        else:
            row, self.added = self.n_llm + self.added % (self.capacity - self.n_llm), self.added + 1
        transition = observation, action, reward, next_observation, terminated, from_llm
        for column, value in zip(self.columns, transition):
            column[row] = value

    def sample(self, size, llm_share, rng):
        """A Batch of `size` transitions, drawn with replacement: size * llm_share of the LLM's, rounded at random so as
        to be right on average, then the learner's own. While there are none of one kind, all are of the other."""
        llm, own = self.n_llm, len(self) - self.n_llm
        n = min(int(size * llm_share + rng.random()), size) if llm and own else size * (own == 0)
        drawn = rng.random(size) * np.where(np.arange(size) < n, llm, own)  # rng.integers takes three times as long
        rows = drawn.astype(np.int64)
        rows[n:] += llm
        return Batch(*(column.take(rows, axis=0) for column in self.columns))
