"""The one replay buffer: the LLM's transitions stay for good, those of the run rotate."""

from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """B transitions (s, a, r, s', terminated)."""

    observations: np.ndarray  # (B,) int64 or (B, n) float32
    actions: np.ndarray  # (B,) int64
    rewards: np.ndarray  # (B,) float32
    next_observations: np.ndarray  # like observations
    terminated: np.ndarray  # (B,) bool: is s' a terminal state?


class ReplayBuffer:
    """At most `capacity` transitions: first the LLM's, `n_llm` of them, then the newest of the run's own.

    llm: tuples (s, a, r, s', terminated). Raises ValueError if they leave no room."""

    def __init__(self, capacity, observation_space, llm=()):
        observations, next_observations = np.zeros((2, capacity, *observation_space.shape), observation_space.dtype)
        actions, rewards, terminated = (np.zeros(capacity, dtype) for dtype in (np.int64, np.float32, bool))
        self.columns = Batch(observations, actions, rewards, next_observations, terminated)
        llm = list(llm)
        self.capacity, self.n_llm, self.added = capacity, len(llm), 0
        if self.n_llm >= capacity:
            raise ValueError(f"a buffer of {capacity} has no room after {self.n_llm} transitions; make it larger")
        for column, values in zip(self.columns, zip(*llm)):
            column[: self.n_llm] = values

    def __len__(self):
        return min(self.n_llm + self.added, self.capacity)

    def add(self, observation, action, reward, next_observation, terminated):
        """Adds a transition of the run's own, in place of the oldest of these if need be."""
        row = self.n_llm + self.added % (self.capacity - self.n_llm)
        for column, value in zip(self.columns, (observation, action, reward, next_observation, terminated)):
            column[row] = value
        self.added += 1

    def sample(self, size, rng):
        """A Batch of `size` transitions, with replacement, all drawn alike."""
        rows = (rng.random(size) * len(self)).astype(np.int64)  # rng.integers takes three times as long
        return Batch(*(column.take(rows, axis=0) for column in self.columns))
