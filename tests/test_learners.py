"""The loss and the two learners, against finite differences, value iteration and a known Markov decision process."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_mlp import finite_differences

from agents.dqn import DQN
from agents.loss import loss_gradient, td_targets
from agents.replay import Batch
from agents.tabular import QTable

seeds = st.integers(0, 2**32)


def batch(s, a, r, s2, terminated, from_llm=None):
    n = len(a)
    from_llm = np.zeros(n, bool) if from_llm is None else np.asarray(from_llm)
    return Batch(
        np.asarray(s), np.asarray(a), np.asarray(r, np.float32), np.asarray(s2), np.asarray(terminated), from_llm
    )


def random_batch(rng, n, n_actions):
    s = np.zeros(n, int)
    return batch(s, rng.integers(n_actions, size=n), s, s, s.astype(bool), rng.random(n) < 0.5)


@given(seeds, st.integers(1, 8), st.integers(2, 5), st.floats(0, 10))
def test_the_gradient_is_that_of_huber_loss_and_conservative_term(seed, n, n_actions, alpha):
    rng = np.random.default_rng(seed)
    b, targets, q = random_batch(rng, n, n_actions), rng.normal(size=n) * 3, rng.normal(size=(n, n_actions)) * 3
    rows = np.arange(n)

    def loss():
        error = np.abs(q[rows, b.actions] - targets)
        huber = np.where(error < 1, error**2 / 2, error - 0.5)
        conservative = np.log(np.exp(q).sum(1)) - q[rows, b.actions]
        return (huber + alpha * b.from_llm * conservative).sum()

    gradient, error = loss_gradient(q, targets, b, alpha, clip=1.0)
    numeric = finite_differences(loss, q.reshape(-1)).reshape(q.shape)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(error, q[rows, b.actions] - targets)


@given(seeds, st.integers(1, 8), st.integers(2, 5), st.floats(0, 10))
def test_the_conservative_gradient_sums_to_zero_and_spares_online_transitions(seed, n, n_actions, alpha):
    rng = np.random.default_rng(seed)
    b, targets, q = random_batch(rng, n, n_actions), rng.normal(size=n), rng.normal(size=(n, n_actions))
    conservative = loss_gradient(q, targets, b, alpha)[0] - loss_gradient(q, targets, b, 0.0)[0]
    np.testing.assert_allclose(conservative.sum(1), 0, atol=1e-12)
    assert not conservative[~b.from_llm].any()
    if alpha > 1e-3:
        assert conservative[b.from_llm].any(1).all()


@given(seeds)
def test_termination_cuts_the_bootstrap_and_truncation_does_not(seed):
    q, next_q = np.random.default_rng(seed).normal(size=(2, 2, 3))
    b = batch([0, 0], [0, 1], [1, 1], [1, 1], [True, False])
    np.testing.assert_allclose(td_targets(b, q, next_q, [1, 2], 0.5, 0.9, 0.0), [0.5, 0.5 + 0.9 * next_q[1, 2]])
    assert td_targets(b, q, next_q, [1, 2], 0.5, 0.9, 0.9)[0] == 0.5


@given(seeds, st.integers(1, 8), st.integers(2, 5), st.floats(0, 1))
def test_advantage_learning_takes_from_lesser_actions_what_they_lack_but_no_more_than_repeating_costs(
    seed, n, n_actions, action_gap
):
    rng = np.random.default_rng(seed)
    q, next_q = rng.normal(size=(2, n, n_actions))
    b, best, rows = random_batch(rng, n, n_actions), rng.integers(n_actions, size=n), np.arange(n)
    plain = td_targets(b, q, next_q, best, 1.0, 0.9, 0.0)
    taken = plain - td_targets(b, q, next_q, best, 1.0, 0.9, action_gap)
    lacks = q.max(1) - q[rows, b.actions]
    costs = 0.9 * (next_q[rows, best] - next_q[rows, b.actions])
    np.testing.assert_allclose(taken, np.clip(costs, 0, action_gap * lacks), atol=1e-12)
    assert not taken[b.actions == q.argmax(1)].any()


@pytest.mark.parametrize("learner", ["table", "network"])
def test_a_learner_bootstraps_on_what_is_not_terminal_alone(learner):
    rng = np.random.default_rng(0)
    if learner == "table":
        agent, states = QTable(2, 2, rng, learning_rate=0.5), np.array([0, 1])
    else:
        agent, states = DQN([-1, -1], [1, 1], 2, rng, tau=0.1), np.eye(2, dtype=np.float32)
    s, n = states[[0, 1]], 2
    for _ in range(3000):  # state 1 pays 1 and ends; state 0 pays 1 and leads to state 1
        agent.learn(batch(s, np.zeros(n, int), np.ones(n), states[[1, 1]], [False, True]))
    q = agent.q if learner == "table" else agent.online.forward(agent.scaled(states))
    np.testing.assert_allclose(q[:, 0], [1 + 0.99, 1], atol=0.02)


@given(seeds, st.integers(1, 32), st.floats(0.01, 1))
def test_a_table_update_is_a_contraction_towards_its_target(seed, n, rate):
    rng = np.random.default_rng(seed)
    agent = QTable(3, 2, rng, learning_rate=rate)
    agent.q[:] = rng.normal(size=(3, 2))
    s, a, r = rng.integers(3, size=n), rng.integers(2, size=n), rng.normal(size=n)
    before = agent.q.copy()
    agent.learn(batch(s, a, r, s, np.ones(n, bool)))
    for i in range(3):
        for k in range(2):
            here = (s == i) & (a == k)
            target = np.float32(r)[here].mean() if here.any() else before[i, k]
            np.testing.assert_allclose(agent.q[i, k] - target, (1 - rate) * (before[i, k] - target), atol=1e-6)


def value_iteration(P, n_states, n_actions, discount):
    q = np.zeros((n_states, n_actions))
    while True:
        values = q.max(1)
        new = [
            [sum(p * (r + discount * values[s2] * (not end)) for p, s2, r, end in P[s][a]) for a in range(n_actions)]
            for s in range(n_states)
        ]
        if np.abs(np.array(new) - q).max() < 1e-10:
            return q
        q = np.array(new)


@pytest.mark.parametrize("action_gap", [0.0, 0.9])
@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking-v1"])
def test_a_table_reaches_the_optimum_of_value_iteration(name, action_gap):
    env = gym.make(name).unwrapped
    n_states, n_actions = env.observation_space.n, env.action_space.n
    optimum = value_iteration(env.P, n_states, n_actions, 0.95)
    rows = [
        (s, a, r, s2, end)
        for s in range(n_states)
        for a in range(n_actions)
        for p, s2, r, end in env.P[s][a]
        for _ in range(round(3 * p))
    ]
    everything = batch(*(np.array(column) for column in zip(*rows)))
    agent = QTable(
        n_states, n_actions, np.random.default_rng(0), action_gap=action_gap, learning_rate=0.5, discount=0.95
    )
    for _ in range(2000):
        agent.learn(everything)
    np.testing.assert_allclose(agent.q.max(1), optimum.max(1), atol=1e-4)
    playing = [s for s in range(n_states) if np.ptp(optimum[s]) > 1e-6]
    if action_gap:  # the best action is worth what it was, and the others look worse than they are
        assert np.ptp(agent.q[playing], 1).mean() > 1.1 * np.ptp(optimum[playing], 1).mean()
    else:
        np.testing.assert_allclose(agent.q, optimum, atol=1e-4)
    best = optimum[playing].max(1, keepdims=True) - 1e-3
    assert (optimum[playing] >= best)[np.arange(len(playing)), agent.act(np.array(playing))].all()


def test_the_online_network_chooses_and_the_target_network_values():
    agent = DQN([-1] * 3, [1] * 3, 4, np.random.default_rng(0), action_gap=0.5, discount=0.9)
    rng = np.random.default_rng(1)
    agent.target.parameters[:] = rng.normal(size=agent.target.parameters.size)
    s, s2 = rng.normal(size=(2, 8, 3)).astype(np.float32)
    b = batch(s, rng.integers(4, size=8), rng.normal(size=8), s2, np.zeros(8, bool))
    chosen = agent.online.forward(agent.scaled(s2)).argmax(1)
    q, next_q = agent.target.forward(agent.scaled(s)), agent.target.forward(agent.scaled(s2))
    rows, a = np.arange(8), b.actions
    lacks, costs = 0.5 * (q.max(1) - q[rows, a]), 0.9 * (next_q[rows, chosen] - next_q[rows, a])
    taken = np.minimum(lacks, np.maximum(costs, 0))
    assert 0 < np.count_nonzero(taken) < 8
    errors = agent.online.forward(agent.scaled(s))[rows, a] - (b.rewards + 0.9 * next_q[rows, chosen] - taken)
    assert agent.learn(b) == pytest.approx(np.mean(errors**2), rel=1e-5)


def test_a_large_error_moves_the_network_no_further_than_an_error_of_one():
    s = np.eye(3, dtype=np.float32)
    moved = []
    for reward in (10, 1000):
        agent = DQN([0] * 3, [1] * 3, 2, np.random.default_rng(0))
        agent.learn(batch(s, [0, 1, 0], [reward, 10, 10], s, np.ones(3, bool)))
        moved.append(agent.online.parameters)
    np.testing.assert_array_equal(*moved)


def test_the_network_learns_a_small_process_to_its_exact_values():
    """A chain of four states: left ends it with 0.2, right moves on, and right in the last ends it with 1."""
    n, discount = 4, 0.9
    states = np.eye(n, dtype=np.float32)
    exact = np.array([[0.2, discount ** (n - 1 - i)] for i in range(n)])
    s = np.repeat(np.arange(n), 2)
    a = np.tile([0, 1], n)
    s2, end = np.minimum(s + a, n - 1), (a == 0) | (s == n - 1)
    r = np.where(a == 0, 0.2, np.where(s == n - 1, 1.0, 0.0))
    agent = DQN([0] * n, [1] * n, 2, np.random.default_rng(0), discount=discount, tau=0.02)
    losses = [agent.learn(batch(states[s], a, r, states[s2], end)) for _ in range(4000)]
    np.testing.assert_allclose(agent.online.forward(agent.scaled(states)), exact, atol=0.02)
    assert losses[-1] < 1e-3 < losses[0]
    assert agent.act(states).tolist() == exact.argmax(1).tolist()


@pytest.mark.parametrize("kind", ["table", "network"])
def test_a_conservative_learner_prefers_what_the_llm_did(kind):
    rng = np.random.default_rng(0)
    if kind == "table":
        agent, states = QTable(4, 3, rng), np.arange(4)
    else:
        agent, states = DQN([0] * 4, [1] * 4, 3, rng), np.eye(4, dtype=np.float32)
    done = np.array([2, 0, 1, 2])
    for _ in range(500):  # every action that was taken cost 1: without the conservative term the others look better
        agent.learn(batch(states, done, -np.ones(4), states, np.ones(4, bool), np.ones(4, bool)), conservatism=3.0)
    assert agent.act(states).tolist() == done.tolist()
