"""The loss: its gradient against finite differences, its targets against a plain loop, and its symmetries."""

import numpy as np
import pytest
from helpers import batch, finite_differences, random_batch
from hypothesis import given
from hypothesis import strategies as st

from agents.loss import loss_gradient, td_targets

seeds, alphas, fractions = st.integers(0, 2**32), st.floats(0.01, 10), st.floats(0, 1)


@st.composite
def samples(draw):
    """A Batch, Q(s, .), Q(s', .) and any targets, all at random."""
    rng, n, n_actions = np.random.default_rng(draw(seeds)), draw(st.integers(1, 8)), draw(st.integers(2, 5))
    q, next_q = 3 * rng.normal(size=(2, n, n_actions))
    return random_batch(rng, n, n_actions), q, next_q, 3 * rng.normal(size=n)


def imitating(b, q, alpha):
    """The gradient without TD errors."""
    return loss_gradient(b, q, np.zeros(len(q)), alpha, td=False)


def conservative(b, q, alpha):
    """The gradient of the conservative term alone: TD errors are 0."""
    return loss_gradient(b, q, q[np.arange(len(q)), b.actions], alpha)


@pytest.mark.parametrize("td", [False, True])
@pytest.mark.parametrize("clip", [1.0, np.inf])
@given(samples(), st.just(0.0) | alphas)
def test_the_gradient_is_that_of_huber_loss_and_conservative_term(td, clip, sample, alpha):
    b, q, _, targets = sample
    chosen = np.arange(len(q)), b.actions
    constant = q[chosen]

    def loss():
        error = np.abs(q[chosen] - targets)
        huber = np.where(error < clip, error**2 / 2, clip * error - clip**2 / 2) if clip < np.inf else error**2 / 2
        held = q.copy()
        if td:
            held[chosen] = constant
        conservative_term = np.log(np.exp(held).sum(1)) - (0 if td else q[chosen])
        return np.sum(td * huber + alpha * b.from_llm * conservative_term)

    numeric = finite_differences(loss, q)
    np.testing.assert_allclose(loss_gradient(b, q, targets, alpha, td, clip), numeric, rtol=1e-4, atol=1e-5)


@given(samples(), alphas)
def test_the_gradient_of_imitation_sums_to_zero_over_the_actions(sample, alpha):
    b, q, *_ = sample
    np.testing.assert_allclose(imitating(b, q, alpha).sum(1), 0, atol=1e-5)


@pytest.mark.parametrize(("gradient_of", "of_what_the_llm_did"), [(imitating, -1), (conservative, 0)])
@given(samples(), alphas)
def test_imitation_raises_what_the_llm_did_both_lower_all_else_and_spare_own_transitions(
    gradient_of, of_what_the_llm_did, sample, alpha
):
    b, q, *_ = sample
    gradient = gradient_of(b, q, alpha)
    did = np.arange(q.shape[1]) == b.actions[:, None]
    np.testing.assert_array_equal(np.sign(gradient[b.from_llm]), np.where(did, of_what_the_llm_did, 1)[b.from_llm])
    assert not gradient[~b.from_llm].any()


@given(samples(), alphas, seeds)
def test_adding_a_constant_to_all_values_of_a_state_changes_nothing_for_the_conservative_term(sample, alpha, seed):
    b, q, *_ = sample
    constants = np.random.default_rng(seed).uniform(-1e4, 1e4, (len(q), 1))
    np.testing.assert_allclose(conservative(b, q + constants, alpha), conservative(b, q, alpha), atol=1e-6 * alpha)


def test_values_far_apart_do_not_overflow():
    llms = batch([0], [0], from_llm=True)
    np.testing.assert_array_equal(imitating(llms, np.array([[0.0, 1e4, -1e4]]), 1.0), [[-1, 1, 0]])
    np.testing.assert_array_equal(conservative(llms, np.array([[0.0, 1e4, -1e4]]), 1.0), [[0, 1, 0]])


@given(samples(), alphas, seeds)
def test_the_numbers_of_the_actions_are_of_no_importance(sample, alpha, seed):
    b, q, next_q, _ = sample
    order = np.random.default_rng(seed).permutation(q.shape[1])
    renumbered = b._replace(actions=np.argsort(order)[b.actions])
    targets = td_targets(b, q, next_q, alpha, 1.0, 0.9, 0.5)
    np.testing.assert_array_equal(td_targets(renumbered, q[:, order], next_q[:, order], alpha, 1.0, 0.9, 0.5), targets)
    gradient = loss_gradient(renumbered, q[:, order], targets, alpha)
    np.testing.assert_allclose(gradient, loss_gradient(b, q, targets, alpha)[:, order], atol=1e-12)


@given(samples(), st.sampled_from([0.0, 1e-3, 0.5, 10.0]), st.floats(-5, 5), fractions, fractions)
def test_the_targets_are_those_of_a_plain_loop(sample, alpha, reward_scale, discount, advantage_learning):
    b, q, next_q, _ = sample
    expected = []
    for (_, a, r, _, terminated, from_llm), values, next_values in zip(zip(*b), q, next_q):
        lack = 0 if from_llm and alpha else max(values) - values[a]
        advantage = discount * max(next_values) - advantage_learning * lack
        expected.append(reward_scale * r + (0 if terminated else max(advantage, discount * next_values[a])))
    targets = td_targets(b, q, next_q, alpha, reward_scale, discount, advantage_learning)
    np.testing.assert_allclose(targets, expected, rtol=1e-5, atol=1e-5)


def test_termination_ends_the_bootstrap_and_truncation_does_not():
    ended, cut_short = batch([0], [0], 1.0), batch([0], [0], 1.0, terminated=False)
    q, next_q = np.array([[1.0, 5.0]]), np.array([[3.0, 7.0]])
    assert td_targets(ended, q, next_q, 0.0, 0.5, 0.9, 0.9) == 0.5
    assert td_targets(cut_short, q, next_q, 0.0, 0.5, 0.9, 0.0) == pytest.approx(0.5 + 0.9 * 7)


@given(samples(), fractions)
def test_without_an_advantage_learning_the_targets_are_those_of_q_learning(sample, discount):
    b, q, next_q, _ = sample
    q_learning = b.rewards + discount * ~b.terminated * next_q.max(1)
    np.testing.assert_allclose(td_targets(b, q, next_q, 0.0, 1.0, discount, 0.0), q_learning, rtol=1e-5, atol=1e-5)


@given(samples(), fractions, fractions)
def test_the_best_action_keeps_its_value_and_no_other_gains(sample, discount, advantage_learning):
    b, q, next_q, _ = sample
    q_learning = td_targets(b, q, next_q, 0.0, 1.0, discount, 0.0)
    taken = q_learning - td_targets(b, q, next_q, 0.0, 1.0, discount, advantage_learning)
    assert (taken >= 0).all()
    assert not taken[b.actions == q.argmax(1)].any()


@given(samples())
def test_the_networks_float32_stays_float32(sample):
    b, q, next_q, _ = sample
    q, next_q = np.float32(q), np.float32(next_q)
    targets = td_targets(b, q, next_q, 0.5, 0.3, 0.99, 0.9)
    assert targets.dtype == loss_gradient(b, q, targets, alpha=np.float64(0.5), td=True, clip=1.0).dtype == np.float32
