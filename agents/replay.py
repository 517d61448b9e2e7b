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
    """At most `capacity` transitions: those of `kept`, a Batch, for good, then the newest of those added."""

    def __init__(self, capacity, kept):
        """Raises ValueError if `kept` leaves no room."""
        self.kept, self.capacity, self.added = len(kept.actions), capacity, 0
        if self.kept >= capacity:
            raise ValueError(f"a buffer of {capacity} transitions has no room beside {self.kept} kept ones")
        self.columns = Batch(*(np.zeros((capacity, *column.shape[1:]), column.dtype) for column in kept))
        for column, values in zip(self.columns, kept):
            column[: self.kept] = values

    @property
    def online(self):
        """The number of the learner's own transitions."""
        return min(self.added, self.capacity - self.kept)

    def __len__(self):
        return self.kept + self.online

    def add(self, observation, action, reward, next_observation, terminated):
        """Adds a transition of the learner's own, in place of the oldest of them if there is no room."""
        row = self.kept + self.added % (self.capacity - self.kept)
        self.added += 1
        for column, value in zip(self.columns, (observation, action, reward, next_observation, terminated, False)):
            column[row] = value

    def sample(self, size, llm_share, rng):
        """A Batch of `size` drawn with replacement: round(size llm_share) from those kept, the rest from the learner's
        own, or all of it from one of the two while the other is empty. Raises ValueError if both are."""
        if not len(self):
            raise ValueError("an empty buffer has nothing to sample")
        from_kept = round(size * llm_share) if self.online and self.kept else size * (self.kept > 0)
        rows = np.empty(size, np.int64)
        rows[:from_kept] = rng.integers(self.kept or 1, size=from_kept)
        rows[from_kept:] = rng.integers(self.kept, len(self) + (from_kept == size), size=size - from_kept)
        return Batch(*(column[rows] for column in self.columns))
