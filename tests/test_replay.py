"""The replay buffer, against two plain lists: the LLM's transitions and the learner's own."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agents.replay import ReplayBuffer

PLANE = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
seeds, balances = st.integers(0, 2**32), st.floats(0, 1)


def transition(number):
    """One that is recognised by its number in every field."""
    s, s2 = np.float32([number, -number]), np.float32([number + 1, 0])
    return s, number, -number / 2, s2, number % 3 == 0


def buffer(capacity, n_llm, added):
    """A buffer that was given transitions 0, 1, ...: first n_llm of the LLM's, then `added` of the learner's own."""
    replay = ReplayBuffer(capacity, PLANE, map(transition, range(n_llm)), 0.5)
    for number in range(n_llm, n_llm + added):
        replay.add(*transition(number))
    return replay


def with_actions(actions, balance):
    """A buffer of one transition of the LLM for each of `actions`, recognised by its reward, 0, 1, ..., and 40 more."""
    llm = [(np.zeros(2), action, number, np.zeros(2), False) for number, action in enumerate(actions)]
    return ReplayBuffer(len(llm) + 40, PLANE, llm, balance)


def assert_unaltered(drawn):
    """Each row of a Batch is the transition of its number."""
    for row in zip(*drawn):
        for value, expected in zip(row, transition(row[1])):
            np.testing.assert_array_equal(value, expected)


class TwoLists(RuleBasedStateMachine):
    @initialize(n_llm=st.integers(0, 8), room=st.integers(1, 12), balance=balances)
    def begin(self, n_llm, room, balance):
        self.llm, self.own, self.number, self.capacity = list(range(n_llm)), [], n_llm, n_llm + room
        self.replay = ReplayBuffer(self.capacity, PLANE, map(transition, self.llm), balance)

    @rule()
    def add(self):
        self.replay.add(*transition(self.number))
        self.own = [*self.own, self.number][len(self.llm) - self.capacity :]
        self.number += 1

    @precondition(lambda self: self.llm or self.own)
    @rule(size=st.integers(1, 64), seed=seeds)
    def sample(self, size, seed):
        drawn = self.replay.sample(size, np.random.default_rng(seed))
        assert len(drawn.actions) == size
        assert_unaltered(drawn)
        assert set(drawn.actions) <= {*self.llm, *self.own}

    @precondition(lambda self: self.llm)
    @rule(size=st.integers(1, 64), seed=seeds)
    def sample_llm(self, size, seed):
        drawn = self.replay.sample_llm(size, np.random.default_rng(seed))
        assert len(drawn.actions) == size
        assert_unaltered(drawn)
        assert set(drawn.actions) <= set(self.llm)

    @invariant()
    def holds_what_the_lists_hold(self):
        if hasattr(self, "replay"):
            held = [column[: len(self.replay)] for column in self.replay.columns]
            assert sorted(held[1]) == self.llm + self.own
            assert_unaltered(held)


TestTwoLists = TwoLists.TestCase
TestTwoLists.settings = settings(max_examples=40, stateful_step_count=30)


@pytest.mark.parametrize("n_llm", [3, 4, 9])
def test_the_llms_transitions_must_leave_room_for_one_of_the_learners(n_llm):
    with pytest.raises(ValueError, match="no room"):
        buffer(3, n_llm, 0)


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_an_action_of_the_llm_is_drawn_by_its_frequency_to_the_power_of_one_less_balance(balance):
    replay = with_actions([0] * 80 + [2] * 5 + [1] * 15, balance)
    drawn = np.bincount(replay.sample_llm(40_000, np.random.default_rng(0)).actions) / 40_000
    expected = np.array([0.8, 0.15, 0.05]) ** (1 - balance)
    np.testing.assert_allclose(drawn, expected / expected.sum(), atol=0.01)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), balances)
def test_balance_leaves_no_transition_out_and_draws_those_of_one_action_alike(actions, balance):
    replay = with_actions(actions, balance)
    widths = np.diff(replay.edges, prepend=0)
    assert (widths > 0).all() and replay.edges[-1] == 1
    for action in set(actions):
        np.testing.assert_allclose(widths[np.equal(actions, action)], widths[actions.index(action)], rtol=1e-9)


@pytest.mark.parametrize("added", [0, 3, 30, 100])
def test_what_the_learner_adds_does_not_change_what_is_drawn_of_the_llms(added):
    replay = with_actions([0, 0, 1], 0.5)
    before = replay.sample_llm(64, np.random.default_rng(0))
    for _ in range(added):
        replay.add(np.ones(2), 1, -1.0, np.ones(2), True)
    np.testing.assert_equal(replay.sample_llm(64, np.random.default_rng(0)), before)


@pytest.mark.parametrize("balance", [0.0, 1.0])
@pytest.mark.parametrize(("n_llm", "added"), [(10, 0), (10, 5), (10, 40), (10, 75), (0, 25), (0, 75)])
def test_each_transition_is_drawn_as_often_as_any_other_whosever_it_is_and_whatever_the_balance(n_llm, added, balance):
    replay = with_actions([0] * (n_llm - 1) + [1] * (n_llm > 0), balance)
    for number in range(n_llm, n_llm + added):
        replay.add(np.zeros(2), 1, number, np.zeros(2), False)
    newest = range(n_llm + added - min(added, 40), n_llm + added)
    drawn, times = np.unique(replay.sample(1000 * len(replay), np.random.default_rng(0)).rewards, return_counts=True)
    np.testing.assert_array_equal(drawn, [*range(n_llm), *newest])
    np.testing.assert_allclose(times, 1000, rtol=0.15)


@pytest.mark.parametrize("draw", [ReplayBuffer.sample, ReplayBuffer.sample_llm])
@given(seeds)
def test_the_same_seed_draws_the_same_batch_and_another_another(draw, seed):
    one, again, other = (draw(buffer(30, 10, 15), 64, np.random.default_rng(each)) for each in (seed, seed, seed + 1))
    np.testing.assert_equal(one, again)
    assert (one.actions != other.actions).any()


@pytest.mark.parametrize("draw", [ReplayBuffer.sample, ReplayBuffer.sample_llm])
def test_a_drawn_batch_is_a_copy(draw):
    replay = buffer(10, 3, 7)
    for column in draw(replay, 64, np.random.default_rng(0)):
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
