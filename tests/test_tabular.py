"""The table: an update against its formula, and what it converges to against value iteration."""

import gymnasium as gym
import numpy as np
import pytest
from helpers import batch, random_batch, table, value_iteration
from hypothesis import given
from hypothesis import strategies as st

seeds = st.integers(0, 2**32)


def filled_table(rng, n_states, n_actions, **settings):
    agent = table(n_states, n_actions, **settings)
    agent.q[:] = rng.normal(size=(n_states, n_actions))
    return agent


def test_at_first_a_table_prefers_an_action_by_chance_alone():
    agent = table(400, 4)
    assert 0 < np.abs(agent.q).max() <= 1e-6
    assert agent.q.min() < 0 < agent.q.max()
    assert np.bincount(agent.values(np.arange(400)).argmax(1)).min() > 70


@given(seeds)
def test_a_table_acts_greedily(seed):
    rng = np.random.default_rng(seed)
    agent, states = filled_table(rng, 5, 3), rng.integers(5, size=8)
    assert agent.values(states).argmax(1).tolist() == [max(range(3), key=lambda a: agent.q[s, a]) for s in states]


@given(seeds, st.integers(1, 32), st.floats(0.01, 1))
def test_an_update_is_a_contraction_towards_the_mean_target_of_each_pair(seed, n, rate):
    rng = np.random.default_rng(seed)
    agent = filled_table(rng, 3, 2, table_learning_rate=rate)
    s, a, r = rng.integers(3, size=n), rng.integers(2, size=n), 10 * rng.normal(size=n)
    before = agent.q.copy()
    agent.update(batch(s, a, r))
    for pair in np.ndindex(3, 2):
        here = (s == pair[0]) & (a == pair[1])
        target = r[here].mean() if here.any() else before[pair]
        np.testing.assert_allclose(agent.q[pair] - target, (1 - rate) * (before[pair] - target), atol=1e-5)


@given(seeds)
def test_imitation_moves_the_actions_of_a_state_by_softmax_less_what_was_done(seed):
    agent = filled_table(np.random.default_rng(seed), 3, 4, table_learning_rate=0.2)
    before, did = agent.q.copy(), np.eye(4)[2]
    agent.update(batch([1, 1], [2, 2]), imitate=True)
    softmax = np.exp(before[1]) / np.exp(before[1]).sum()
    np.testing.assert_allclose(agent.q[1] - before[1], -0.2 * (softmax - did), atol=1e-12)
    np.testing.assert_array_equal(agent.q[[0, 2]], before[[0, 2]])


@given(st.lists(st.integers(1, 9), min_size=2, max_size=4), st.booleans())
def test_imitation_finds_how_often_the_llm_did_what_in_a_state_whatever_it_did_elsewhere(times, elsewhere):
    agent, did = table(2, len(times), table_learning_rate=0.5), np.repeat(np.arange(len(times)), times)
    states, actions = (np.append(np.zeros_like(did), [1] * 5), np.append(did, [0] * 5)) if elsewhere else (0 * did, did)
    for _ in range(500):
        agent.update(batch(states, actions, -1.0), imitate=True)
    softmax = np.exp(agent.q[0]) / np.exp(agent.q[0]).sum()
    np.testing.assert_allclose(softmax, np.divide(times, sum(times)), atol=0.01)


@pytest.mark.parametrize("imitate", [False, True])
def test_a_table_learns_at_the_same_rate_whatever_the_step(imitate):
    early, late, b = table(4, 3), table(4, 3), random_batch(np.random.default_rng(0), 16, 3, range(4))
    early.update(b, imitate)
    late.update(b, imitate, step=100_000)
    np.testing.assert_array_equal(early.q, late.q)


@pytest.mark.parametrize("imitate", [False, True])
@given(seeds)
def test_the_numbers_of_the_actions_are_of_no_importance(imitate, seed):
    rng = np.random.default_rng(seed)
    one, other, order = filled_table(rng, 4, 3), table(4, 3), rng.permutation(3)
    other.q[:] = one.q[:, order]
    for _ in range(5):
        b = random_batch(rng, 16, 3, range(4))
        one.update(b, imitate)
        other.update(b._replace(actions=np.argsort(order)[b.actions]), imitate)
    np.testing.assert_allclose(other.q, one.q[:, order], atol=1e-12)


@pytest.mark.parametrize("advantage_learning", [0.0, 0.9])
@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking-v1"])
def test_a_table_reaches_the_optimum_of_value_iteration(name, advantage_learning):
    env, discount = gym.make(name).unwrapped, 0.95
    optimum = value_iteration(env.P, discount)
    everything = [  # each outcome in proportion to its probability, a multiple of 1/3
        (s, a, r, s2, terminated)
        for s, a in np.ndindex(optimum.shape)
        for p, s2, r, terminated in env.P[s][a]
        for _ in range(round(3 * p))
    ]
    b = batch(*map(np.array, zip(*everything)))
    agent = table(*optimum.shape, discount=discount, advantage_learning=advantage_learning, table_learning_rate=0.5)
    for _ in range(600):
        agent.update(b)
    np.testing.assert_allclose(agent.q.max(1), optimum.max(1), atol=1e-4)
    assert (optimum[range(len(optimum)), agent.values(np.arange(len(optimum))).argmax(1)] > optimum.max(1) - 1e-3).all()
    if advantage_learning:  # lesser actions look worse than they are
        assert (agent.q < optimum + 1e-4).all()
        assert np.ptp(agent.q, 1).mean() > 1.1 * np.ptp(optimum, 1).mean()
    else:
        np.testing.assert_allclose(agent.q, optimum, atol=1e-4)
