"""The network's gradients against finite differences, and Adam against the textbook, in float64."""

import math

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agents.dqn import DQN
from agents.mlp import MLP, Adam
from agents.replay import Batch


def network(sizes, seed, layer_norm):
    return MLP(sizes, np.random.default_rng(seed), layer_norm, np.float64)


def finite_differences(loss, parameters, step=1e-6):
    gradient = np.empty_like(parameters)
    for k, value in enumerate(parameters):
        parameters[k] = value + step
        above = loss()
        parameters[k] = value - step
        gradient[k] = (above - loss()) / (2 * step)
        parameters[k] = value
    return gradient


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 6), min_size=2, max_size=4),
    st.integers(1, 5),
    st.integers(0, 3),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_backward_agrees_with_finite_differences(sizes, rows, further_rows, seed, layer_norm):
    net, rng = network(sizes, seed, layer_norm), np.random.default_rng(seed + 1)
    x, dq = rng.normal(size=(rows + further_rows, sizes[0])), rng.normal(size=(rows, sizes[-1]))

    def loss():
        return float((net.forward(x)[:rows] * dq).sum())

    numeric = finite_differences(loss, net.parameters)
    net.forward(x)
    # LayerNorm over one or two units is a step function, and ReLU has a kink: judge away from both.
    assume(not layer_norm or min(sizes[1:-1], default=9) >= 3)
    assume(all(y is None or abs(y).min() >= 1e-4 for _, y, _ in net.saved))
    np.testing.assert_allclose(net.backward(dq), numeric, rtol=1e-4, atol=1e-7)


def test_layer_norm_gives_mean_zero_and_variance_one():
    net = network([3, 8, 8, 2], 0, layer_norm=True)
    net.forward(np.random.default_rng(1).normal(size=(5, 3)))
    for _, y, _ in net.saved[:-1]:
        np.testing.assert_allclose(y.mean(1), 0, atol=1e-12)
        np.testing.assert_allclose(y.var(1), 1, rtol=1e-2)


@given(st.integers(0, 2**32), st.booleans())
def test_a_batch_of_one_equals_a_row_of_a_larger_batch(seed, layer_norm):
    net = network([4, 9, 7, 3], seed, layer_norm)
    x = np.random.default_rng(seed).normal(size=(6, 4))
    whole = net.forward(x)
    for k in range(6):
        np.testing.assert_allclose(net.forward(x[k : k + 1])[0], whole[k], rtol=1e-9)


def test_weights_are_views_into_the_parameters_and_a_copy_has_its_own():
    net = network([3, 5, 2], 0, True)
    twin = net.copy()
    net.parameters[:] = 0
    assert all(not W.any() and not b.any() for W, b in net.layers)
    assert all(W.any() for W, _ in twin.layers)
    assert np.shares_memory(twin.layers[0][0], twin.parameters)


def test_other_passes_leave_what_a_network_keeps_for_backward_alone():
    net, rng = network([3, 5, 4, 2], 0, True), np.random.default_rng(1)
    x, dq = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    net.forward(x)
    expected = net.backward(dq).copy()
    net.forward(x[:2])
    net.forward(x)
    net.copy().forward(rng.normal(size=(6, 3)))
    np.testing.assert_array_equal(net.backward(dq), expected)


@given(st.integers(0, 2**32), st.integers(1, 30), st.sampled_from([math.inf, 10]))
def test_adam_agrees_with_the_textbook(seed, steps, decay_steps):
    rng = np.random.default_rng(seed)
    parameters = rng.normal(size=4)
    adam, theta = Adam(parameters, 0.01, decay_steps), parameters.tolist()
    m, v = [0.0] * 4, [0.0] * 4
    for t in range(1, steps + 1):
        g = rng.normal(size=4)
        adam.step(g)
        for k in range(4):
            m[k] = 0.9 * m[k] + 0.1 * g[k]
            v[k] = 0.999 * v[k] + 0.001 * g[k] ** 2
            rate = 0.01 / (1 + (t - 1) / decay_steps)
            theta[k] -= rate * (m[k] / (1 - 0.9**t)) / ((v[k] / (1 - 0.999**t)) ** 0.5 + 1e-8)
    np.testing.assert_allclose(parameters, theta, rtol=1e-9)


@given(st.floats(0.001, 1), st.integers(0, 1000))
def test_the_target_and_the_acting_network_move_by_exactly_tau(tau, seed):
    agent = DQN([-1, -1], [1, 1], 3, np.random.default_rng(seed), tau=tau, tau_acting=tau / 2)
    agent.target.parameters[:] = np.random.default_rng(seed + 1).normal(size=agent.target.parameters.size)
    before, acting = agent.target.parameters.copy(), agent.acting.parameters.copy()
    o = np.random.default_rng(seed).normal(size=(8, 2)).astype(np.float32)
    zeros = np.zeros(8, np.int64)
    agent.learn(Batch(o, zeros, np.ones(8, np.float32), o, zeros.astype(bool), zeros.astype(bool)))
    expected = before + np.float32(tau) * (agent.online.parameters - before)
    np.testing.assert_allclose(agent.target.parameters, expected, rtol=1e-6)
    expected = acting + np.float32(tau / 2) * (agent.online.parameters - acting)
    np.testing.assert_allclose(agent.acting.parameters, expected, rtol=1e-6)
    greedy = agent.acting.forward(agent.scaled(o)).argmax(1)
    np.testing.assert_array_equal(agent.act(o), greedy)
