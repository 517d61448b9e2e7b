"""The network: each derivative and the whole backward pass against finite differences, Adam against the textbook."""

from copy import deepcopy

import numpy as np
import pytest
from helpers import finite_differences
from hypothesis import assume, given
from hypothesis import strategies as st

from agents import mlp
from agents.mlp import MLP, Adam, initial_parameters

seeds, few = st.integers(0, 2**32), st.integers(1, 5)
with_or_without_norm = pytest.mark.parametrize("norm", [True, False])


def network(sizes, norm, rng):
    """In float64, for finite differences."""
    return MLP(sizes, initial_parameters(sizes, rng).astype(np.float64), norm)


def assert_derivative(analytic, outputs, x, upstream):
    """`analytic` is dL/dx of L = sum(outputs() * upstream)."""
    numeric = finite_differences(lambda: np.sum(outputs() * upstream), x)
    np.testing.assert_allclose(analytic, numeric, rtol=1e-4, atol=1e-6)


@with_or_without_norm
def test_all_that_is_made_of_float32_is_float32(norm):
    rng = np.random.default_rng(0)
    net = MLP((4, 5, 6, 2), initial_parameters((4, 5, 6, 2), rng), norm)
    x = rng.normal(size=(3, 4)).astype(np.float32)
    outputs, cache = net.forward(x)
    arrays = [outputs, net.backward(outputs, cache), *(each for row in cache for each in row if each is not None)]
    assert {each.dtype for each in arrays} == {np.dtype(np.float32)}


@given(seeds, few, few, few)
def test_the_derivative_of_linear(seed, B, n, m):
    rng = np.random.default_rng(seed)
    x, W, b, dz = (rng.normal(size=shape) for shape in ((B, n), (n, m), m, (B, m)))
    for analytic, argument in zip(mlp.linear_backward(dz, x, W), (x, W, b)):
        assert_derivative(analytic, lambda: mlp.linear(x, W, b), argument, dz)


@given(seeds, few, st.integers(3, 7))
def test_the_derivative_of_layer_norm(seed, B, m):
    z, dy = np.random.default_rng(seed).normal(size=(2, B, m))
    assert_derivative(mlp.layer_norm_backward(dy, *mlp.layer_norm(z)), lambda: mlp.layer_norm(z)[0], z, dy)


@given(seeds, few, few)
def test_the_derivative_of_relu(seed, B, m):
    y, dx = np.random.default_rng(seed).normal(size=(2, B, m))
    assume(np.abs(y).min() > 1e-4)
    assert_derivative(mlp.relu_backward(dx, mlp.relu(y)), lambda: mlp.relu(y), y, dx)


@with_or_without_norm
@given(data=st.data(), seed=seeds, B=few, inputs=few, outputs=few)
def test_backward_is_the_derivative_of_forward(norm, data, seed, B, inputs, outputs):
    hidden = data.draw(st.lists(st.integers(3 if norm else 1, 6), max_size=3))  # normal, two units are a step function
    rng = np.random.default_rng(seed)
    net = network((inputs, *hidden, outputs), norm, rng)
    x, dz = rng.normal(size=(B, inputs)), rng.normal(size=(B, outputs))
    _, passed = net.forward(x)
    assume(all(np.abs(y).min() > 1e-4 for _, y, _ in passed[1:]))
    assert_derivative(net.backward(dz, passed), lambda: net.forward(x)[0], net.parameters, dz)


def test_no_operation_changes_what_it_is_given():
    x, W, b, dz = arrays = [np.ones(shape) for shape in ((2, 3), (3, 4), 4, (2, 4))]
    for array in arrays:
        array.flags.writeable = False
    mlp.linear_backward(dz, x, W), mlp.linear(x, W, b)
    mlp.layer_norm_backward(dz, dz, dz[:, :1]), mlp.layer_norm(dz)
    mlp.relu_backward(dz, dz), mlp.relu(dz)


@with_or_without_norm
def test_no_pass_changes_the_arrays_of_another(norm):
    rng = np.random.default_rng(0)
    net = network((3, 5, 4, 2), norm, rng)
    x, dz = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    outputs, passed = net.forward(x)
    arrays = net.parameters, x, dz, outputs, passed, net.backward(dz, passed)
    before = deepcopy(arrays)
    net.backward(2 * dz, net.forward(x + 1)[1])
    network((3, 5, 4, 2), norm, rng).forward(x - 1)
    np.testing.assert_equal(net.backward(dz, passed), before[-1])
    np.testing.assert_equal(arrays, before)


@with_or_without_norm
@given(seeds)
def test_a_row_by_itself_gives_what_it_gives_in_a_batch(norm, seed):
    rng = np.random.default_rng(seed)
    net, x = network((4, 9, 7, 3), norm, rng), rng.normal(size=(6, 4))
    one_by_one = [net.forward(row[None])[0][0] for row in x]
    np.testing.assert_allclose(net.forward(x)[0], one_by_one, rtol=1e-9)


@given(seeds, st.floats(-100, 100), st.floats(0.1, 100))
def test_layer_norm_gives_each_row_mean_zero_and_variance_one(seed, centre, spread):
    z = centre + spread * np.random.default_rng(seed).normal(size=(5, 8))
    y, std = mlp.layer_norm(z)
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-9)
    np.testing.assert_allclose(y.var(1), 1, atol=0.05)
    np.testing.assert_allclose(std[:, 0], z.std(1), atol=1e-3)


def test_layer_norm_of_equal_numbers_is_zero():
    np.testing.assert_array_equal(mlp.layer_norm(np.full((2, 4), 3.0))[0], 0)


@with_or_without_norm
def test_a_network_is_linear_after_its_last_relu_and_normal_before_it(norm):
    net = network((3, 8, 8, 2), norm, np.random.default_rng(0))
    outputs, passed = net.forward(np.random.default_rng(1).normal(size=(5, 3)))
    for x, y, _ in passed[1:]:
        np.testing.assert_array_equal(x, np.maximum(y, 0))
        assert np.allclose(y.mean(1), 0) == norm
    W, b = net.layers[-1]
    np.testing.assert_allclose(outputs, passed[-1][0] @ W + b)
    assert (outputs < 0).any()


def test_layers_are_views_of_the_parameters_and_hold_each_of_them_once():
    net = network((3, 5, 2), True, np.random.default_rng(0))
    net.parameters[:] = np.arange(net.parameters.size)
    assert [(W.shape, b.shape) for W, b in net.layers] == [((3, 5), (5,)), ((5, 2), (2,))]
    once = [each.ravel() for layer in net.layers for each in layer]
    np.testing.assert_array_equal(np.concatenate(once), net.parameters)


def test_the_initial_parameters_are_uniform_within_one_over_the_root_of_a_layers_inputs():
    sizes = 4, 100, 25, 16
    net = MLP(sizes, initial_parameters(sizes, np.random.default_rng(0)))
    assert net.parameters.dtype == np.float32
    for (W, b), n in zip(net.layers, sizes):
        both = np.sqrt(n) * np.append(W, b)
        assert 0.95 < np.abs(both).max() <= 1.000001
        assert np.abs(b).max() > 0
        assert both.mean() == pytest.approx(0, abs=0.1)
        assert both.std() == pytest.approx(3**-0.5, rel=0.1)


@given(seeds, st.lists(st.floats(1e-4, 0.1), min_size=1, max_size=30))
def test_adam_is_that_of_the_textbook(seed, learning_rates):
    rng = np.random.default_rng(seed)
    parameters = rng.normal(size=3)
    adam, theta, m, v = Adam(parameters), parameters.copy(), 0.0, 0.0
    for t, learning_rate in enumerate(learning_rates, 1):
        g = rng.normal(size=3)
        adam.step(g, learning_rate)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        theta = theta - learning_rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(parameters, theta, rtol=1e-9)
