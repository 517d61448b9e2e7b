"""A multi-layer perceptron by hand: each operation beside its derivative, then the network, then Adam.

Shapes: B rows of a batch, n inputs and m outputs of a layer. dz is short for dL/dz, and has the shape of z."""

import functools
from itertools import pairwise

import numpy as np


def linear(x, W, b):
    """z = x W + b: (B, n) -> (B, m)."""
    return x @ W + b


def linear_backward(dz, x, W):
    """dx = dz W^T, dW = x^T dz, and db, the sum of the rows of dz."""
    return dz @ W.T, x.T @ dz, dz.sum(0)


def mean(x):
    """The mean of each row, (B, m) -> (B, 1): as a matrix product, since NumPy is slow to sum short rows."""
    return x @ averaging(x.shape[1], x.dtype)


averaging = functools.cache(lambda m, dtype: np.full((m, 1), 1 / m, dtype))


def layer_norm(z):
    """h = (z - mean(z)) / std over each row, and std = sqrt(variance + 1e-5): Ba et al. 2016, eq. 4, without their
    gain and bias."""
    centred = z - mean(z)
    std = np.sqrt(mean(centred * centred) + 1e-5)
    return centred / std, std


def layer_norm_backward(dh, h, std):
    """dz = (dh - mean(dh) - h * mean(dh * h)) / std.

    By the chain rule: dz_j = sum_i dh_i ∂h_i/∂z_j, where ∂h_i/∂z_j = ([i = j] - 1/m - h_i h_j / m) / std since
    ∂mean/∂z_j = 1/m and ∂std/∂z_j = h_j / m. ([i = j] is 1 or 0; docs/algorithm.md has each step.)"""
    return (dh - mean(dh) - h * mean(dh * h)) / std


def relu(h):
    """x = max(h, 0)."""
    return np.maximum(h, 0)


def relu_backward(dx, x):
    """dh = dx where x > 0, else 0."""
    return dx * (x > 0)


def initial_parameters(sizes, rng):
    """Each layer's W (n, m), then b (m,), flat, float32: uniform in ±1/sqrt(n) (Glorot & Bengio 2010, eq. 1, for W)."""
    layers = [rng.uniform(-1, 1, (n + 1) * m) / np.sqrt(n) for n, m in pairwise(sizes)]
    return np.concatenate(layers).astype(np.float32)


class MLP:
    """Hidden layers linear, layer_norm (if `norm`), relu; a linear last layer. sizes: units of each, inputs first.

    parameters: all weights and biases in one flat vector; `layers`, a list of (W (n, m), b (m,)), are views of it."""

    def __init__(self, sizes, parameters, norm=True):
        self.sizes, self.parameters, self.norm, self.layers, rest = sizes, parameters, norm, [], parameters
        for n, m in pairwise(sizes):
            W, b, rest = np.split(rest, [n * m, (n + 1) * m])
            self.layers.append((W.reshape(n, m), b))

    def __reduce__(self):  # else a copy's layers, of pickle or deepcopy, would be no views
        return MLP, (self.sizes, self.parameters, self.norm)

    def forward(self, x):
        """(B, inputs) -> (B, outputs), and a cache: each linear layer's input x, with the h and std it was made of."""
        cache = [(x, None, None)]
        for W, b in self.layers[:-1]:
            z = linear(x, W, b)
            h, std = layer_norm(z) if self.norm else (z, None)
            x = relu(h)
            cache.append((x, h, std))
        return linear(x, *self.layers[-1]), cache

    def backward(self, dz, cache):
        """dL/dparameters, flat, from dL/doutputs (B, outputs) and the cache of `forward`."""
        gradients = []
        for (W, _), (x, h, std) in zip(reversed(self.layers), reversed(cache)):
            dx, dW, db = linear_backward(dz, x, W)
            gradients = [dW.ravel(), db, *gradients]
            if h is not None:  # x came out of a layer; else it is the network's input
                dh = relu_backward(dx, x)
                dz = layer_norm_backward(dh, h, std) if self.norm else dh
        return np.concatenate(gradients)


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1) on a flat vector, in place; m, v: the running means of g and of g^2."""

    def __init__(self, parameters, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.parameters, self.beta1, self.beta2, self.epsilon = parameters, beta1, beta2, epsilon
        self.m, self.v, self.t = np.zeros_like(parameters), np.zeros_like(parameters), 0

    def step(self, g, learning_rate):
        """parameters <- parameters - learning_rate m' / (sqrt(v') + epsilon); m', v' are corrected for a start at 0."""
        self.t += 1
        self.m += (1 - self.beta1) * (g - self.m)
        self.v += (1 - self.beta2) * (g * g - self.v)
        m, v = self.m / (1 - self.beta1**self.t), self.v / (1 - self.beta2**self.t)
        self.parameters -= learning_rate * m / (np.sqrt(v) + self.epsilon)
