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
    """At most `capacity` transitions: first the LLM's, `n_llm` of them, then the newest of the learner's own.

    llm: the former, each (s, a, r, s', terminated). Of these, one whose action has the frequency f among them is drawn
    with a probability proportional to f^-balance: at 0 all alike, at 1 all actions alike.
    Raises ValueError if they leave no room for the learner's."""

    def __init__(self, capacity, observation_space, llm=(), balance=0.0):
        observations, next_observations = np.zeros((2, capacity, *observation_space.shape), observation_space.dtype)
        actions, rewards = np.zeros(capacity, np.int64), np.zeros(capacity, np.float32)
        terminated, from_llm = np.zeros((2, capacity), bool)
        self.columns = Batch(observations, actions, rewards, next_observations, terminated, from_llm)
        llm = list(llm)
        self.capacity, self.n_llm, self.added = capacity, len(llm), 0
        if self.n_llm >= capacity:
            raise ValueError(f"a buffer of {capacity} has no room for the LLM's transitions; make it larger")
        for column, values in zip(self.columns, zip(*llm)):
            column[: self.n_llm] = values
        from_llm[: self.n_llm] = True
        edges = np.cumsum(np.bincount(actions[: self.n_llm])[actions[: self.n_llm]] ** -float(balance))
        self.edges = edges / edges[-1:]  # The LLM's row i is drawn by a number from edges[i - 1] to edges[i].

    def __len__(self):
        return min(self.n_llm + self.added, self.capacity)

    def add(self, observation, action, reward, next_observation, terminated):
        """Adds a transition of the learner's own, in place of its oldest if need be."""
        row = self.n_llm + self.added % (self.capacity - self.n_llm)
        for column, value in zip(self.columns, (observation, action, reward, next_observation, terminated, False)):
            column[row] = value
        self.added += 1

    def sample(self, size, llm_share, rng):
        """A Batch of `size` transitions, drawn with replacement: size * llm_share of the LLM's, rounded at random so as
        to be right on average, then the learner's own. While there are none of one kind, all are of the other."""
        llm, own = self.n_llm, len(self) - self.n_llm
        n = min(int(size * llm_share + rng.random()), size) if llm and own else size * (own == 0)
        drawn = rng.random(size)  # rng.integers takes three times as long
        rows = llm + (drawn * own).astype(np.int64)
        rows[:n] = self.edges.searchsorted(drawn[:n], "right")
        return Batch(*(column.take(rows, axis=0) for column in self.columns))
