"""The replay buffer, against two plain lists: the LLM's transitions and the learner's own."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agents.replay import ReplayBuffer

PLANE = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
seeds = st.integers(0, 2**32)


def transition(number):
    """One that is recognised by its number in every field."""
    s, s2 = np.float32([number, -number]), np.float32([number + 1, 0])
    return s, number, -number / 2, s2, number % 3 == 0


def buffer(capacity, n_first, added):
    """A buffer that was given transitions 0, 1, ...: first n_first of the LLM's, then `added` of the learner's own, of
    which it holds `capacity`."""
    replay = ReplayBuffer(capacity, PLANE, [*map(transition, range(n_first))])
    for number in range(n_first, n_first + added):
        replay.add(*transition(number))
    return replay


def assert_unaltered(drawn):
    """Each row of a Batch is the transition of its number."""
    for column, expected in zip(drawn, zip(*map(transition, drawn[1].tolist()))):
        np.testing.assert_array_equal(column, expected)


@pytest.mark.parametrize(("dtype", "value"), [(np.float64, 0.1), (np.int64, 2**24 + 1), (np.uint8, 200)])
def test_observations_keep_their_dtype_and_every_digit(dtype, value):
    observation, space = np.array([value], dtype), gym.spaces.Box(0, 2**25 if dtype != np.uint8 else 255, (1,), dtype)
    replay = ReplayBuffer(1, space, [(observation, 0, 0.0, observation, False)])
    replay.add(observation, 0, 0.0, observation, False)
    drawn = replay.sample(9, np.random.default_rng(0))
    for column in drawn.observations, drawn.next_observations:
        assert column.dtype == dtype and (column == observation).all()


class TwoLists(RuleBasedStateMachine):
    @initialize(n_first=st.integers(0, 8), capacity=st.integers(1, 12))
    def begin(self, n_first, capacity):
        self.llm, self.own, self.number, self.capacity = list(range(n_first)), [], n_first, capacity
        self.replay = ReplayBuffer(self.capacity, PLANE, [*map(transition, self.llm)])

    @rule()
    def add(self):
        self.replay.add(*transition(self.number))
        self.own = [*self.own, self.number][-self.capacity :]
        self.number += 1

    @precondition(lambda self: self.llm or self.own)
    @rule(size=st.integers(1, 64), seed=seeds)
    def sample(self, size, seed):
        drawn = self.replay.sample(size, np.random.default_rng(seed))
        assert len(drawn.actions) == size
        assert_unaltered(drawn)
        assert set(drawn.actions) <= {*self.llm, *self.own}

    @invariant()
    def holds_what_the_lists_hold(self):
        if hasattr(self, "replay"):
            held = [column[: len(self.replay)] for column in self.replay.columns]
            assert sorted(held[1]) == self.llm + self.own
            assert_unaltered(held)


TestTwoLists = TwoLists.TestCase
TestTwoLists.settings = settings(max_examples=40, stateful_step_count=30)


@pytest.mark.parametrize(("n_first", "added"), [(10, 0), (10, 5), (10, 40), (10, 75), (0, 25), (0, 75)])
def test_each_transition_is_drawn_as_often_as_any_other_whosever_it_is(n_first, added):
    replay = buffer(40, n_first, added)
    newest = range(n_first + added - min(added, 40), n_first + added)
    drawn, times = np.unique(replay.sample(1000 * len(replay), np.random.default_rng(0)).actions, return_counts=True)
    np.testing.assert_array_equal(drawn, [*range(n_first), *newest])
    np.testing.assert_allclose(times, 1000, rtol=0.15)


@given(seeds)
def test_the_same_seed_draws_the_same_batch_and_another_another(seed):
    replay = buffer(30, 10, 15)
    one, again, other = (replay.sample(64, np.random.default_rng(each)) for each in (seed, seed, seed + 1))
    np.testing.assert_equal(one, again)
    assert (one.actions != other.actions).any()


def test_a_drawn_batch_is_a_copy():
    replay = buffer(7, 3, 7)
    for column in replay.sample(64, np.random.default_rng(0)):
        column[:] = 0
    assert_unaltered(replay.columns)


@pytest.mark.parametrize(
    ("space", "shape", "dtype"), [(PLANE, (8, 2), np.float32), (gym.spaces.Discrete(5), (8,), np.int64)]
)
def test_the_columns_of_a_batch_are_as_documented(space, shape, dtype):
    replay = ReplayBuffer(4, space)
    replay.add(space.sample(), 1, 0.5, space.sample(), False)
    s, a, r, s2, terminated = replay.sample(8, np.random.default_rng(0))
    assert s.shape == s2.shape == shape and s.dtype == s2.dtype == dtype
    assert a.shape == r.shape == terminated.shape == (8,)
    assert (a.dtype, r.dtype, terminated.dtype) == (np.int64, np.float32, bool)
