"""The one replay buffer: those transitions that a run starts from stay for good, its own rotate."""

from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """B transitions (s, a, r, s', terminated)."""

    observations: np.ndarray  # (B,) or (B, n), as in the environment
    actions: np.ndarray  # (B,) int64
    rewards: np.ndarray  # (B,) float32
    next_observations: np.ndarray  # like observations
    terminated: np.ndarray  # (B,) bool: is s' a terminal state?


class ReplayBuffer:
    """`first`, a list of (s, a, r, s', terminated), stays for good; `capacity` rows more, the run's own, are a ring."""

    def __init__(self, capacity, observation_space, first=()):
        self.capacity, self.n_first, self.added = capacity, len(first), 0
        rows, space = self.n_first + capacity, observation_space
        observations, next_observations = np.zeros((2, rows, *space.shape), space.dtype)
        actions, rewards, terminated = (np.zeros(rows, dtype) for dtype in (np.int64, np.float32, bool))
        self.columns = Batch(observations, actions, rewards, next_observations, terminated)
        for column, values in zip(self.columns, zip(*first)):
            column[: self.n_first] = values

    def __len__(self):
        return self.n_first + min(self.added, self.capacity)

    def add(self, observation, action, reward, next_observation, terminated):
        """Adds a transition of the run's own, in place of the oldest of these if need be."""
        row = self.n_first + self.added % self.capacity
        for column, value in zip(self.columns, (observation, action, reward, next_observation, terminated)):
            column[row] = value
        self.added += 1

    def sample(self, size, rng):
        """A Batch of `size` transitions, drawn uniformly, with replacement. The buffer must not be empty."""
        rows = (rng.random(size) * len(self)).astype(np.int64)  # rng.integers takes three times as long
        return Batch(*[column.take(rows, axis=0) for column in self.columns])
