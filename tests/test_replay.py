"""The replay buffer, against two plain lists: the LLM's transitions and the learner's own."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agents.replay import ReplayBuffer

PLANE = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
seeds, shares = st.integers(0, 2**32), st.floats(0, 1)


def transition(number):
    """One that is recognised by its number in every field."""
    s, s2 = np.float32([number, -number]), np.float32([number + 1, 0])
    return s, number, -number / 2, s2, number % 3 == 0


def buffer(capacity, n_llm, added):
    """A buffer that was given transitions 0, 1, ...: first n_llm of the LLM's, then `added` of the learner's own."""
    replay = ReplayBuffer(capacity, PLANE, map(transition, range(n_llm)))
    for number in range(n_llm, n_llm + added):
        replay.add(*transition(number))
    return replay


def with_actions(actions, balance):
    """A buffer that holds one transition of the LLM for each of `actions`, recognised by its reward, 0, 1, ..."""
    llm = [(np.zeros(2), action, number, np.zeros(2), False) for number, action in enumerate(actions)]
    return ReplayBuffer(len(llm) + 40, PLANE, llm, balance)


def assert_unaltered(drawn, llm):
    """Each row of a Batch is the transition of its number, and from_llm if that is among `llm`."""
    for *row, from_llm in zip(*drawn):
        for value, expected in zip(row, transition(row[1])):
            np.testing.assert_array_equal(value, expected)
        assert from_llm == (row[1] in llm)


class TwoLists(RuleBasedStateMachine):
    @initialize(n_llm=st.integers(0, 8), room=st.integers(1, 12), balance=shares)
    def begin(self, n_llm, room, balance):
        self.llm, self.own, self.number, self.capacity = list(range(n_llm)), [], n_llm, n_llm + room
        self.replay = ReplayBuffer(self.capacity, PLANE, map(transition, self.llm), balance)

    @rule()
    def add(self):
        self.replay.add(*transition(self.number))
        self.own = [*self.own, self.number][len(self.llm) - self.capacity :]
        self.number += 1

    @precondition(lambda self: self.llm or self.own)
    @rule(size=st.integers(1, 64), share=shares, seed=seeds)
    def sample(self, size, share, seed):
        drawn = self.replay.sample(size, share, np.random.default_rng(seed))
        assert len(drawn.actions) == size
        assert_unaltered(drawn, self.llm)
        assert set(drawn.actions) <= {*self.llm, *self.own}
        if self.llm and self.own:
            assert abs(drawn.from_llm.sum() - size * share) < 1

    @invariant()
    def holds_what_the_lists_hold(self):
        if hasattr(self, "replay"):
            held = [column[: len(self.replay)] for column in self.replay.columns]
            assert sorted(held[1]) == self.llm + self.own
            assert_unaltered(held, self.llm)


TestTwoLists = TwoLists.TestCase
TestTwoLists.settings = settings(max_examples=40, stateful_step_count=30)


@pytest.mark.parametrize("n_llm", [3, 4, 9])
def test_the_llms_transitions_must_leave_room_for_one_of_the_learners(n_llm):
    with pytest.raises(ValueError, match="no room"):
        buffer(3, n_llm, 0)


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_an_action_of_the_llm_is_drawn_by_its_frequency_to_the_power_of_one_less_balance(balance):
    replay = with_actions([0] * 80 + [2] * 5 + [1] * 15, balance)
    drawn = np.bincount(replay.sample(40_000, 1.0, np.random.default_rng(0)).actions) / 40_000
    expected = np.array([0.8, 0.15, 0.05]) ** (1 - balance)
    np.testing.assert_allclose(drawn, expected / expected.sum(), atol=0.01)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), shares, seeds)
def test_balance_leaves_no_transition_out_and_draws_those_of_one_action_alike(actions, balance, seed):
    replay = with_actions(actions, balance)
    widths = np.diff(replay.edges, prepend=0)
    assert (widths > 0).all() and replay.edges[-1] == 1
    for action in set(actions):
        np.testing.assert_allclose(widths[np.equal(actions, action)], widths[actions.index(action)], rtol=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.003, 0.1, 0.25, 0.5, 0.7, 1.0])
def test_the_llms_share_of_a_batch_is_right_on_average(share):
    replay, rng = buffer(20, 5, 15), np.random.default_rng(0)
    drawn = [replay.sample(64, share, rng).from_llm.sum() for _ in range(1000)]
    assert np.mean(drawn) == pytest.approx(64 * share, abs=0.06)


@given(st.integers(1, 9), st.integers(1, 20), st.integers(1, 32), seeds)
def test_half_and_half_is_exact(n_llm, added, half, seed):
    assert buffer(10, n_llm, added).sample(2 * half, 0.5, np.random.default_rng(seed)).from_llm.sum() == half


@pytest.mark.parametrize(("n_llm", "added"), [(5, 5), (5, 12), (0, 10), (0, 25), (9, 0)])
def test_each_transition_of_a_kind_is_drawn_as_often_as_the_others(n_llm, added):
    replay, rng = buffer(10, n_llm, added), np.random.default_rng(0)
    _, times = np.unique([replay.sample(8, 0.5, rng).actions for _ in range(1000)], return_counts=True)
    np.testing.assert_allclose(times, 8000 / len(replay), rtol=0.15)
    assert len(times) == len(replay)


@pytest.mark.parametrize(("n_llm", "added", "from_llm"), [(7, 0, 16), (0, 7, 0)])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_while_there_are_none_of_one_kind_all_are_of_the_other(n_llm, added, from_llm, share):
    assert buffer(20, n_llm, added).sample(16, share, np.random.default_rng(0)).from_llm.sum() == from_llm


@pytest.mark.parametrize(("n_llm", "added"), [(10, 15), (10, 0), (0, 15)])
@given(seeds, shares)
def test_the_same_seed_draws_the_same_batch(n_llm, added, seed, share):
    replay = buffer(30, n_llm, added)
    np.testing.assert_equal(*(replay.sample(16, share, np.random.default_rng(seed)) for _ in range(2)))


def test_a_drawn_batch_is_a_copy():
    replay = buffer(10, 3, 7)
    for column in replay.sample(64, 0.5, np.random.default_rng(0)):
        column[:] = 0
    assert_unaltered(replay.columns, range(3))


@pytest.mark.parametrize(
    ("space", "shape", "dtype"), [(PLANE, (8, 2), np.float32), (gym.spaces.Discrete(5), (8,), np.int64)]
)
def test_the_columns_of_a_batch_are_as_documented(space, shape, dtype):
    replay = ReplayBuffer(4, space)
    replay.add(space.sample(), 1, 0.5, space.sample(), False)
    s, a, r, s2, terminated, from_llm = replay.sample(8, 0.5, np.random.default_rng(0))
    assert s.shape == s2.shape == shape and s.dtype == s2.dtype == dtype
    assert a.shape == r.shape == terminated.shape == from_llm.shape == (8,)
    assert (a.dtype, r.dtype, terminated.dtype, from_llm.dtype) == (np.int64, np.float32, bool, bool)
