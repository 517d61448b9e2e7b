"""The replay buffer, against a plain list of what was put in."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.replay import Batch, ReplayBuffer

PLANE = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)


def batch(first, n, from_llm=True):
    """n transitions, each recognisable by its number from `first` on in every field."""
    i = np.arange(first, first + n)
    return Batch(
        observations=np.stack([i, i], 1).astype(np.float32),
        actions=i,
        rewards=(-i).astype(np.float32),
        next_observations=np.stack([i + 1, i + 1], 1).astype(np.float32),
        terminated=i % 3 == 0,
        from_llm=np.full(n, from_llm),
    )


def filled(capacity, kept, added):
    """A buffer with transitions 0..kept-1 for good and then transitions kept..kept+added-1 of the learner's own."""
    replay = ReplayBuffer(capacity, PLANE)
    for transition in zip(*batch(0, kept)[:5]):
        replay.add(*transition, from_llm=True)
    for transition in zip(*batch(kept, added)[:5]):
        replay.add(*transition)
    return replay


sizes = st.integers(1, 30).flatmap(
    lambda capacity: st.tuples(st.just(capacity), st.integers(0, capacity - 1), st.integers(0, 90))
)
seeds = st.integers(0, 2**32)


@given(sizes)
def test_size_never_exceeds_capacity(size):
    capacity, kept, added = size
    assert len(filled(*size)) == min(capacity, kept + added)


@given(sizes, seeds)
def test_holds_all_kept_and_the_newest_own_transitions(size, seed):
    capacity, kept, added = size
    replay = filled(*size)
    newest = set(range(kept + added - min(added, capacity - kept), kept + added))
    assert set(replay.columns.actions[: len(replay)]) == set(range(kept)) | newest
    if len(replay):
        drawn = replay.sample(3000, 0.5, np.random.default_rng(seed))
        assert set(drawn.actions[drawn.from_llm]) == set(range(kept))
        assert set(drawn.actions[~drawn.from_llm]) == newest


@given(sizes.filter(lambda size: size[1] + size[2] > 0), seeds, st.integers(1, 64), st.floats(0, 1))
def test_every_drawn_transition_was_put_in_unaltered(size, seed, n, share):
    drawn = filled(*size).sample(n, share, np.random.default_rng(seed))
    assert len(drawn.actions) == n
    for k, number in enumerate(drawn.actions):
        expected = batch(number, 1, from_llm=number < size[1])
        for column, value in zip(drawn, expected):
            assert column.dtype == value.dtype
            np.testing.assert_array_equal(column[k], value[0])


@given(st.integers(1, 20), st.integers(1, 50), st.integers(1, 32), seeds)
def test_half_and_half_is_exact(kept, added, half, seed):
    drawn = filled(40, kept, added).sample(2 * half, 0.5, np.random.default_rng(seed))
    assert drawn.from_llm.sum() == half


@pytest.mark.parametrize(("kept", "added", "from_llm"), [(7, 0, 16), (0, 7, 0)])
def test_a_buffer_with_one_side_draws_from_it_alone(kept, added, from_llm):
    for share in (0.0, 0.5, 1.0):
        assert filled(20, kept, added).sample(16, share, np.random.default_rng(0)).from_llm.sum() == from_llm


@given(seeds)
def test_the_same_seed_draws_the_same_batch(seed):
    replay = filled(30, 10, 15)
    first, second = (replay.sample(16, 0.5, np.random.default_rng(seed)) for _ in range(2))
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)


def test_an_empty_buffer_says_so():
    with pytest.raises(ValueError, match="empty buffer"):
        filled(5, 0, 0).sample(4, 0.5, np.random.default_rng(0))


@pytest.mark.parametrize(("kept", "added"), [(4, 0), (2, 1)])
def test_llm_transitions_must_come_first_and_leave_room(kept, added):
    with pytest.raises(ValueError, match="no room"):
        filled(5, kept, added).add(*(column[0] for column in batch(9, 1)[:5]), from_llm=True)


def test_a_drawn_batch_is_a_copy():
    replay = filled(10, 3, 3)
    replay.sample(8, 0.5, np.random.default_rng(0)).observations[:] = -1
    assert replay.columns.observations.min() >= 0
