"""A multi-layer perceptron by hand: each operation beside its derivative, then the network, then Adam.

Shapes: B rows of a batch, n inputs and m outputs of a layer. dz is short for dL/dz, and has the shape of z.
"""

from itertools import pairwise

import numpy as np

# Once glibc has seen so large a block freed, it keeps smaller ones for the next arrays (mallopt(3), M_MMAP_THRESHOLD).
# To fetch their memory anew from the system, page by page, would take as long as the arithmetic at 256 units.
np.empty(30_000_000, np.uint8)


def linear(x, W, b):
    """z = x W + b: (B, n) -> (B, m)."""
    return x @ W + b


def linear_derivative(dz, x, W):
    """dW = x^T dz; db, the sum of the rows of dz; dx = dz W^T."""
    return x.T @ dz, dz.sum(0), dz @ W.T


def layer_norm(z):
    """y = (z - mean(z)) / std(z) over each row, and std: Ba et al. 2016, eq. 4, without their gain and bias."""
    centred = z - mean(z)
    std = np.sqrt(mean(centred * centred) + 1e-5)
    return centred / std, std


def layer_norm_derivative(dy, y, std):
    """dz = (dy - mean(dy) - y mean(dy y)) / std.

    By the chain rule: dz_j = sum_i dy_i ∂y_i/∂z_j, where ∂y_i/∂z_j = ([i = j] - 1/m - y_i y_j / m) / std since
    ∂mean/∂z_j = 1/m and ∂std/∂z_j = y_j / m.
    """
    return (dy - mean(dy) - y * mean(dy * y)) / std


def relu(y):
    """x = max(y, 0)."""
    return np.maximum(y, 0)


def relu_derivative(dx, x):
    """dy = dx where x > 0, else 0."""
    return dx * (x > 0)


def mean(x):
    """The mean of each row, (B, m) -> (B, 1): as a matrix product, since NumPy is slow to sum short rows."""
    return x @ np.full((x.shape[1], 1), 1 / x.shape[1], x.dtype)


def first_parameters(sizes, rng):
    """Weights and biases, uniform in -1/sqrt(n)..1/sqrt(n) (Glorot & Bengio 2010, eq. 1, for the weights), float32."""
    layers = [rng.uniform(-1, 1, (n + 1) * m) / np.sqrt(n) for n, m in pairwise(sizes)]
    return np.concatenate(layers).astype(np.float32)


class MLP:
    """Hidden layers linear, layer_norm (if `norm`), relu; a linear last layer. sizes: units of each, inputs first.

    parameters: all weights and biases in one flat vector, of which `layers`, a list of (W (n, m), b (m,)), are views:
    so Adam, averages and copies are one line each."""

    def __init__(self, sizes, parameters, norm=True):
        self.parameters, self.norm, self.layers = parameters, norm, []
        for n, m in pairwise(sizes):
            W, b, parameters = np.split(parameters, [n * m, (n + 1) * m])
            self.layers.append((W.reshape(n, m), b))

    def forward(self, x):
        """(B, inputs) -> (B, outputs), and for `backward` the (x, y, std) by which each layer's inputs x came about."""
        passed = [(x, None, None)]
        for W, b in self.layers[:-1]:
            z = linear(x, W, b)
            y, std = layer_norm(z) if self.norm else (z, None)
            x = relu(y)
            passed.append((x, y, std))
        return linear(x, *self.layers[-1]), passed

    def backward(self, dz, passed):
        """dL/dparameters, flat, from dL/doutputs (B, outputs) and what `forward` passed on."""
        gradients = []
        for (W, _), (x, y, std) in zip(reversed(self.layers), reversed(passed)):
            dW, db, dx = linear_derivative(dz, x, W)
            gradients = [dW.ravel(), db, *gradients]
            if y is not None:
                dy = relu_derivative(dx, x)
                dz = layer_norm_derivative(dy, y, std) if self.norm else dy
        return np.concatenate(gradients)


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1) on a flat vector, in place; m, v: the running means of g and of g^2."""

    def __init__(self, parameters, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.parameters, self.beta1, self.beta2, self.epsilon = parameters, beta1, beta2, epsilon
        self.m, self.v, self.t = np.zeros_like(parameters), np.zeros_like(parameters), 0

    def step(self, g, learning_rate):
        """parameters <- parameters - learning_rate m' / (sqrt(v') + epsilon), with m', v' as if not begun at 0."""
        self.t += 1
        self.m += (1 - self.beta1) * (g - self.m)
        self.v += (1 - self.beta2) * (g * g - self.v)
        m, v = self.m / (1 - self.beta1**self.t), self.v / (1 - self.beta2**self.t)
        self.parameters -= learning_rate * m / (np.sqrt(v) + self.epsilon)
