"""A multi-layer perceptron with LayerNorm and ReLU: forward, backward, and Adam, by hand."""

import copy
import math
from functools import cache
from itertools import pairwise

import numpy as np


def row_mean(a, b=None):
    """The mean of a, or of a b, along each row: (B, m) -> (B, 1). As a product: NumPy sums short rows slowly."""
    m = a.shape[1]
    return (a @ constant(m, 1 / m, a.dtype) if b is None else np.vecdot(a, b) / m)[:, None]


@cache
def constant(n, value, dtype):
    """A vector of n times the same value."""
    return np.full(n, value, dtype)


class MLP:
    """Hidden layers z = x W + b, y = LayerNorm(z), x <- max(y, 0), and a linear last layer.

    All weights and biases are views into one flat vector, `parameters`: Adam, Polyak averaging and copying are one line
    each on it.
    """

    def __init__(self, sizes, rng, layer_norm=True, dtype=np.float32):
        """sizes: units per layer, inputs first. rng: the numpy.random.Generator of the first weights and biases,
        uniform in -1/sqrt(n)..1/sqrt(n) for n inputs (Glorot & Bengio 2010, eq. 1). layer_norm: False leaves y = z."""
        self.shapes, self.layer_norm = list(pairwise(sizes)), layer_norm
        first = [rng.uniform(-1, 1, (n + 1) * m) / np.sqrt(n) for n, m in self.shapes]
        self.place(np.concatenate(first).astype(dtype))

    def place(self, parameters):
        """Makes the flat `parameters` this network's own, with a gradient beside them and arrays to work in."""
        self.parameters, self.gradient = parameters, np.empty_like(parameters)
        self.layers, self.gradients, self.work = self.views(parameters), self.views(self.gradient), {}

    def views(self, flat):
        """`flat` as a list of (W of shape (n, m), b of shape (m,)), one a layer, without copying."""
        layers, start = [], 0
        for n, m in self.shapes:
            layers.append((flat[start : start + n * m].reshape(n, m), flat[start + n * m : start + (n + 1) * m]))
            start += (n + 1) * m
        return layers

    def copy(self):
        """A network of its own with the same weights."""
        twin = copy.copy(self)
        twin.place(self.parameters.copy())
        return twin

    def forward(self, x):
        """(B, inputs) -> (B, outputs). Keeps x, y and the standard deviation of each layer for `backward`."""
        # Arrays for y, max(y, 0) and 0 in each hidden layer are made once: large ones are slow to make, and the maximum
        # with an array takes less than half as long as with a number.
        if len(x) not in self.work:
            self.work[len(x)] = [np.zeros((3, len(x), m), self.parameters.dtype) for _, m in self.shapes[:-1]]
        self.saved = []
        for (W, b), (y, positive, zero) in zip(self.layers[:-1], self.work[len(x)]):
            np.matmul(x, W, out=y)
            y += b
            std = None
            if self.layer_norm:  # y = (z - mean(z)) / std(z) over a layer's m units: Ba et al. 2016, eq. 4
                y -= row_mean(y)
                std = np.sqrt(row_mean(y, y) + 1e-5)
                y /= std
            self.saved.append((x, y, std))
            x = np.maximum(y, zero, out=positive)
        self.saved.append((x, None, None))
        W, b = self.layers[-1]
        return x @ W + b

    def backward(self, dz):
        """dL/dparameters, flat, from dL/doutputs (B, outputs) of the first B rows of the last `forward`.

        To save time it works in the arrays that `forward` kept, so it can be called once after each, and the next call
        overwrites the gradient.
        """
        B = len(dz)
        for k in reversed(range(len(self.layers))):
            x = self.saved[k][0][:B]
            dW, db = self.gradients[k]
            np.matmul(x.T, dz, out=dW)
            np.matmul(constant(B, 1, dz.dtype), dz, out=db)
            if k > 0:
                active = x > 0  # of x = max(y, 0), whose array takes dz
                dz = np.matmul(dz, self.layers[k][0].T, out=x)
                dz *= active
                if self.layer_norm:  # dz = (dy - mean(dy) - y mean(dy y)) / std
                    _, y, std = self.saved[k - 1]
                    y = y[:B]
                    y *= row_mean(dz, y)
                    y += row_mean(dz)
                    dz -= y
                    dz /= std[:B]
        return self.gradient


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1) on a flat vector, in place.

    t counts the steps; m and v are the running means of the gradient g and of its square. The rate falls as
    learning_rate / (1 + t / decay_steps), so that noise averages out in the end (Robbins & Monro 1951).
    """

    def __init__(self, parameters, learning_rate, decay_steps=math.inf, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.parameters, self.learning_rate, self.decay_steps = parameters, learning_rate, decay_steps
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.m, self.v, self.t = np.zeros_like(parameters), np.zeros_like(parameters), 0

    def step(self, g):
        """parameters <- parameters - rate m' / (sqrt(v') + epsilon), with m' and v' as if not begun at 0."""
        rate = self.learning_rate / (1 + self.t / self.decay_steps)
        self.t += 1
        self.m += (1 - self.beta1) * (g - self.m)
        self.v += (1 - self.beta2) * (g * g - self.v)
        # m' = m / (1 - beta1^t) and v' = v / (1 - beta2^t), with the corrections taken out of the vectors.
        c1, c2 = 1 - self.beta1**self.t, math.sqrt(1 - self.beta2**self.t)
        self.parameters -= rate * c2 / c1 * self.m / (np.sqrt(self.v) + c2 * self.epsilon)
