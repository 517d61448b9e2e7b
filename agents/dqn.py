"""Double DQN on an MLP: the network learner."""

import numpy as np

from .loss import loss_gradient, td_targets
from .mlp import MLP, Adam


class DQN:
    """Q(s, .) as a network of vector observations.

    low, high: the usual range of each number of an observation, seen by the network as -1..1. rng: the
    numpy.random.Generator of the first weights. reward_scale: what rewards are multiplied by. action_gap: see
    `td_targets`. hidden: units per hidden layer. decay_steps: updates after which the learning rate is half of the
    first. tau, tau_acting: how far an update moves the target network, which values next observations, and the acting
    network, an average over a longer time.
    """

    def __init__(
        self,
        low,
        high,
        n_actions,
        rng,
        reward_scale=1.0,
        action_gap=0.0,
        hidden=(64, 64),
        learning_rate=1e-3,
        decay_steps=10_000,
        discount=0.99,
        tau=0.02,
        tau_acting=0.005,
        layer_norm=True,
    ):
        self.low, self.half_range = np.float32(low), (np.float32(high) - np.float32(low)) / 2
        self.online = MLP((len(low), *hidden, n_actions), rng, layer_norm)
        self.target, self.acting = self.online.copy(), self.online.copy()
        self.adam = Adam(self.online.parameters, learning_rate, decay_steps)
        self.reward_scale, self.discount, self.action_gap = reward_scale, discount, action_gap
        self.tau, self.tau_acting = tau, tau_acting

    def scaled(self, observations):
        return (observations - self.low) / self.half_range - 1

    def act(self, observations):
        """The greedy actions (n,) at observations (n, d), by the acting network: the mean of recent weights plays more
        steadily than the latest of them (Polyak & Juditsky 1992)."""
        return self.acting.forward(self.scaled(observations)).argmax(1)

    def learn(self, batch, conservatism=0.0):
        """One step of Adam on the loss of a Batch, and one of the averages; returns the mean squared TD error."""
        B = len(batch.actions)
        x = self.scaled(np.concatenate([batch.observations, batch.next_observations]))
        q = self.online.forward(x)
        # Double Q (van Hasselt et al. 2016, eq. 4): the online network chooses a' = argmax Q(s', .), the target network
        # says what it is worth.
        best = q[B:].argmax(1)
        values = self.target.forward(x)
        targets = td_targets(batch, values[:B], values[B:], best, self.reward_scale, self.discount, self.action_gap)
        gradient, error = loss_gradient(q[:B], targets, batch, conservatism, clip=1.0)
        self.adam.step(self.online.backward(gradient / B))
        # Polyak averaging (Lillicrap et al. 2016): average <- average + tau (online - average)
        for average, tau in (self.target, self.tau), (self.acting, self.tau_acting):
            average.parameters += tau * (self.online.parameters - average.parameters)
        return float(error @ error) / B
