"""The losses: their gradients against finite differences, the targets against a plain loop, and their symmetries."""

import numpy as np
import pytest
from helpers import batch, finite_differences, random_batch
from hypothesis import given
from hypothesis import strategies as st

from agents.loss import imitation_gradient, td_gradient, td_targets

seeds, fractions = st.integers(0, 2**32), st.floats(0, 1)


@st.composite
def samples(draw):
    """A Batch, Q(s, .), Q(s', .) and any targets, all at random."""
    rng, n, n_actions = np.random.default_rng(draw(seeds)), draw(st.integers(1, 8)), draw(st.integers(2, 5))
    q, next_q = 3 * rng.normal(size=(2, n, n_actions))
    return random_batch(rng, n, n_actions), q, next_q, 3 * rng.normal(size=n)


@pytest.mark.parametrize("clip", [0.3, 1.0, np.inf])
@given(samples())
def test_the_td_gradient_is_that_of_hubers_loss(clip, sample):
    b, q, _, targets = sample

    def loss():
        error = np.abs(q[np.arange(len(q)), b.actions] - targets)
        squared = np.minimum(error, clip)
        return np.sum(squared * (error - squared / 2))

    np.testing.assert_allclose(td_gradient(b, q, targets, clip), finite_differences(loss, q), rtol=1e-4, atol=1e-5)


@given(samples())
def test_the_gradient_of_imitation_is_that_of_cross_entropy(sample):
    b, q, *_ = sample

    def loss():
        softmax = np.exp(q) / np.exp(q).sum(1, keepdims=True)
        return -np.sum(np.log(softmax[np.arange(len(q)), b.actions]))

    np.testing.assert_allclose(imitation_gradient(b, q), finite_differences(loss, q), rtol=1e-4, atol=1e-5)


@given(samples())
def test_the_gradient_of_imitation_sums_to_zero_over_the_actions(sample):
    b, q, *_ = sample
    np.testing.assert_allclose(imitation_gradient(b, q).sum(1), 0, atol=1e-12)


@given(samples())
def test_imitation_raises_what_the_llm_did_and_lowers_all_else(sample):
    b, q, *_ = sample
    did = np.arange(q.shape[1]) == b.actions[:, None]
    np.testing.assert_array_equal(np.sign(-imitation_gradient(b, q)), np.where(did, 1, -1))


@given(samples(), seeds)
def test_adding_a_constant_to_all_values_of_a_state_changes_nothing_for_imitation(sample, seed):
    b, q, *_ = sample
    constants = np.random.default_rng(seed).uniform(-1e4, 1e4, (len(q), 1))
    np.testing.assert_allclose(imitation_gradient(b, q + constants), imitation_gradient(b, q), atol=1e-9)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.floats(-100, 100))
def test_imitation_is_at_rest_where_softmax_is_how_often_the_llm_did_what(times, constant):
    actions = np.repeat(np.arange(len(times)), times)
    q = np.tile(np.log(times) + constant, (len(actions), 1))
    np.testing.assert_allclose(imitation_gradient(batch(actions, actions), q).sum(0), 0, atol=1e-9)


def test_values_far_apart_do_not_overflow():
    q = np.array([[0.0, 1e4, -1e4]] * 2)
    np.testing.assert_array_equal(imitation_gradient(batch([0, 0], [0, 1]), q), [[-1, 1, 0], [0, 0, 0]])


@given(samples(), seeds)
def test_the_numbers_of_the_actions_are_of_no_importance(sample, seed):
    b, q, next_q, _ = sample
    order = np.random.default_rng(seed).permutation(q.shape[1])
    renumbered, reordered = b._replace(actions=np.argsort(order)[b.actions]), q[:, order]
    targets = td_targets(b, q, next_q, 1.0, 0.9, 0.5)
    np.testing.assert_array_equal(td_targets(renumbered, reordered, next_q[:, order], 1.0, 0.9, 0.5), targets)
    np.testing.assert_array_equal(td_gradient(renumbered, reordered, targets), td_gradient(b, q, targets)[:, order])
    np.testing.assert_allclose(
        imitation_gradient(renumbered, reordered), imitation_gradient(b, q)[:, order], atol=1e-12
    )


@given(samples(), st.floats(-5, 5), fractions, fractions)
def test_the_targets_are_those_of_a_plain_loop(sample, reward_scale, discount, advantage_learning):
    b, q, next_q, _ = sample
    expected = []
    for (_, a, r, _, terminated), values, next_values in zip(zip(*b), q, next_q):
        to_come = [0 if terminated else discount * value for value in next_values]
        gap = max(values) - values[a]
        expected.append(reward_scale * r + max(max(to_come) - advantage_learning * gap, to_come[a]))
    targets = td_targets(b, q, next_q, reward_scale, discount, advantage_learning)
    np.testing.assert_allclose(targets, expected, rtol=1e-5, atol=1e-5)


def test_termination_ends_the_bootstrap_and_truncation_does_not():
    ended, cut_short = batch([0], [0], 1.0), batch([0], [0], 1.0, terminated=False)
    q, next_q = np.array([[1.0, 5.0]]), np.array([[3.0, 7.0]])
    assert td_targets(ended, q, next_q, 0.5, 0.9, 0.9) == 0.5
    assert td_targets(cut_short, q, next_q, 0.5, 0.9, 0.0) == pytest.approx(0.5 + 0.9 * 7)


@given(samples(), fractions)
def test_without_an_advantage_learning_the_targets_are_those_of_q_learning(sample, discount):
    b, q, next_q, _ = sample
    q_learning = b.rewards + discount * ~b.terminated * next_q.max(1)
    np.testing.assert_allclose(td_targets(b, q, next_q, 1.0, discount, 0.0), q_learning, rtol=1e-5, atol=1e-5)


@given(samples(), fractions, fractions)
def test_the_best_action_keeps_its_value_and_no_other_gains(sample, discount, advantage_learning):
    b, q, next_q, _ = sample
    q_learning = td_targets(b, q, next_q, 1.0, discount, 0.0)
    taken = q_learning - td_targets(b, q, next_q, 1.0, discount, advantage_learning)
    assert (taken >= 0).all()
    assert not taken[b.actions == q.argmax(1)].any()


@given(samples())
def test_the_networks_float32_stays_float32(sample):
    b, q, next_q, _ = sample
    q, next_q = np.float32(q), np.float32(next_q)
    targets = td_targets(b, q, next_q, 0.3, 0.99, 0.9)
    gradients = td_gradient(b, q, targets, clip=1.0), imitation_gradient(b, q)
    assert [each.dtype for each in (targets, *gradients)] == [np.float32] * 3
