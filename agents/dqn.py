"""DQN (Mnih et al. 2015) on an MLP; the target network is a running average of the online one, not a copy."""

import numpy as np

from .loss import imitation_gradient, td_gradient, td_targets
from .mlp import MLP, Adam, initial_parameters


class DQN:
    """Q(s, .) as a network: the online one (DQN's word, not the method) learns, the target network values s', the
    acting network plays. The last two are averages of its weights: a mean plays more steadily than the latest.
    low, high: the usual range of each number of an observation, scaled to -1..1."""

    def __init__(self, low, high, n_actions, reward_scale, settings, rng):
        self.low, self.half_range = np.float32(low), (np.float32(high) - np.float32(low)) / 2
        self.n_actions, self.reward_scale, self.settings, self.updates = n_actions, reward_scale, settings, 0
        sizes = len(low), *settings.hidden, n_actions
        initial = initial_parameters(sizes, rng)
        self.online, self.target, self.acting = (MLP(sizes, initial.copy(), settings.layer_norm) for _ in range(3))
        self.adam, self.learnt = Adam(self.online.parameters), self.acting.parameters

    def scaled(self, observations):
        return (np.asarray(observations, np.float32) - self.low) / self.half_range - 1

    def values(self, observations):
        return self.acting.forward(self.scaled(observations))[0]

    def update(self, batch, imitate=False, step=0):
        """A step of Adam on a Batch's mean loss, TD or imitation; then both averages move. Adam's rate falls with
        `step` (Robbins & Monro 1951), as does the acting rate, to average over more (Polyak & Juditsky 1992)."""
        settings, decay = self.settings, 1 / (1 + step / self.settings.decay_steps)
        q, cache = self.online.forward(self.scaled(batch.observations))
        if imitate:
            gradient = imitation_gradient(batch, q)
        else:
            next_q, _ = self.target.forward(self.scaled(batch.next_observations))
            y = td_targets(batch, q, next_q, self.reward_scale, settings.discount, settings.advantage_learning)
            gradient = td_gradient(batch, q, y, clip=1.0)
        self.adam.step(self.online.backward(gradient / len(q), cache), settings.learning_rate * decay)
        # Running averages (Lillicrap et al. 2016): average <- average + rate (online - average)
        for average, rate in (self.target, settings.target_rate), (self.acting, settings.acting_rate * decay):
            average.parameters += rate * (self.online.parameters - average.parameters)
        self.updates += 1
