"""The network learner: which network does what, how far each moves, and a chain learnt to its exact values."""

import numpy as np
import pytest
from helpers import SETTINGS, batch, network, random_batch, unit_rows
from hypothesis import given
from hypothesis import strategies as st

from agents.dqn import DQN
from agents.loss import td_targets


def off_centre(seed=0, **settings):
    """A DQN of observations within 2..4 and -1..0, its three networks all different."""
    rng = np.random.default_rng(seed)
    agent = DQN([2, -1], [4, 0], 3, 1.0, SETTINGS._replace(**settings), rng)
    for net in agent.online, agent.target, agent.acting:
        net.parameters[:] = rng.normal(size=net.parameters.size)
    return agent


def off_centre_batch(seed=0, n=64):
    rng = np.random.default_rng(seed)
    return random_batch(rng, n, 3, rng.uniform([2, -1], [4, 0], (6, 2)).astype(np.float32))


def test_observations_are_scaled_to_minus_one_to_one():
    corners = np.float32([[2, -1], [3, -0.5], [4, 0]])
    np.testing.assert_allclose(off_centre().scaled(corners), [[-1, -1], [0, 0], [1, 1]])


def test_the_settings_and_the_environment_shape_the_network():
    agent = network(3, 4, hidden=(5, 6), layer_norm=False)
    assert [W.shape for W, _ in agent.online.layers] == [(3, 5), (5, 6), (6, 4)] and not agent.online.norm
    assert network(3, 4).online.norm


def test_three_networks_begin_alike_and_are_independent():
    agent = network(3, 4)
    first = agent.online.parameters.copy()
    agent.online.parameters[:] = 0
    np.testing.assert_array_equal(agent.target.parameters, first)
    agent.target.parameters[:] = 0
    np.testing.assert_array_equal(agent.acting.parameters, first)


def test_the_acting_network_acts():
    agent, observations = off_centre(), off_centre_batch().observations
    values = agent.acting.forward(agent.scaled(observations))[0]
    assert agent.values(observations).argmax(1).tolist() == [row.argmax() for row in values]


@pytest.mark.parametrize("seed", range(5))
def test_the_target_network_values_what_comes_next_and_the_online_network_knows_the_advantage_learning(seed):
    """The step is the same when the targets are handed over as rewards that end their episodes."""
    settings = {"discount": 0.9, "advantage_learning": 0.5}
    agent, twin, b = off_centre(seed, **settings), off_centre(seed, **settings), off_centre_batch(seed)
    q, _ = agent.online.forward(agent.scaled(b.observations))
    next_q, _ = agent.target.forward(agent.scaled(b.next_observations))
    targets = td_targets(b, q, next_q, 1.0, **settings)
    agent.update(b)
    twin.update(b._replace(rewards=targets, terminated=np.ones(64, bool)))
    np.testing.assert_allclose(agent.adam.m, twin.adam.m, atol=1e-6)
    assert not np.allclose(targets, td_targets(b, q, next_q, 1.0, 0.9, 0.0))


def test_imitation_gives_each_action_the_odds_that_the_llm_did_it():
    agent, states = network(2, 3), unit_rows(2)
    for _ in range(2000):
        agent.update(batch(states[[0, 0, 0, 0, 1]], [0, 0, 0, 2, 1], -1.0), imitate=True)
    for net in agent.online, agent.acting:
        q, _ = net.forward(agent.scaled(states))
        softmax = np.exp(q) / np.exp(q).sum(1, keepdims=True)
        np.testing.assert_allclose(softmax, [[0.75, 0, 0.25], [0, 1, 0]], atol=0.03)


@given(st.floats(0.001, 1), st.floats(0.001, 1), st.integers(0, 1000))
def test_target_and_acting_network_move_towards_the_online_network_the_latter_less_and_less(
    target_rate, acting_rate, step
):
    agent = off_centre(hidden=(8,), target_rate=target_rate, acting_rate=acting_rate, decay_steps=100)
    averages = (target_rate, agent.target), (acting_rate / (1 + step / 100), agent.acting)
    before = [net.parameters.copy() for _, net in averages]
    agent.update(off_centre_batch(), step=step)
    for (rate, net), old in zip(averages, before):
        np.testing.assert_allclose(net.parameters, old + rate * (agent.online.parameters - old), rtol=1e-4, atol=1e-6)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20))
def test_the_learning_rate_falls_with_steps_and_not_with_updates(steps):
    agent = network(2, 1, hidden=(3,), learning_rate=0.01, decay_steps=100)
    bias = agent.online.layers[-1][1]
    before, far_above = bias.item(), batch(unit_rows(2), [0, 0], 1e6)  # a constant gradient, by clipping
    for step in steps:
        agent.update(far_above, step=step)
    assert bias.item() - before == pytest.approx(sum(0.01 / (1 + step / 100) for step in steps), rel=1e-3)


@pytest.mark.parametrize("error", [0.5, 0.9, 1.5, 1000.0])
def test_an_error_counts_as_it_is_but_for_one_at_most(error):
    gradients, states = [], unit_rows(1)
    for size in 1.0, error:
        agent = network(1, 2)
        value = agent.online.forward(agent.scaled(states))[0][0, 1]
        agent.update(batch(states, [1], value + size))
        gradients.append(agent.adam.m)
    np.testing.assert_allclose(gradients[1], min(error, 1) * gradients[0], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("imitate", [False, True])
def test_an_update_stays_in_float32(imitate):
    agent = off_centre()
    agent.update(off_centre_batch(), imitate)
    assert agent.scaled(off_centre_batch().observations).dtype == np.float32
    assert all(net.parameters.dtype == np.float32 for net in (agent.online, agent.target, agent.acting))
    assert agent.adam.m.dtype == np.float32 and agent.values(off_centre_batch().observations).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8])
def test_the_network_is_float32_whatever_the_observations_are(dtype):
    agent = off_centre()
    assert agent.values(np.ones((3, len(agent.low)), dtype)).dtype == np.float32


def test_the_network_learns_a_small_process_to_its_exact_values():
    """A chain of four states: left ends it with 0.2, right moves on, and right in the last ends it with 1."""
    n, discount = 4, 0.9
    states, s, a = unit_rows(n), np.repeat(np.arange(n), 2), np.tile([0, 1], n)
    last, s2 = s == n - 1, np.minimum(s + 1, n - 1)
    b = batch(states[s], a, np.where(a == 0, 0.2, last), states[s2], (a == 0) | last)
    exact = [[0.2, discount ** (n - 1 - i)] for i in range(n)]
    agent = network(n, 2, discount=discount, advantage_learning=0.0)
    for _ in range(2000):
        agent.update(b)
    for net in agent.online, agent.target, agent.acting:
        np.testing.assert_allclose(net.forward(agent.scaled(states))[0], exact, atol=0.02)
    assert agent.values(states).argmax(1).tolist() == [1] * n


def test_what_lies_beyond_the_usual_range_lies_beyond_one():
    agent = off_centre()
    low, high = agent.low, agent.low + 2 * agent.half_range
    np.testing.assert_allclose(agent.scaled([2 * low - high, 2 * high - low]), [[-3, -3], [3, 3]], rtol=1e-5)
