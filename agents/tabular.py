"""Q-learning on a table (Watkins & Dayan 1992), in batches."""

import numpy as np

from .loss import imitation_gradient, td_gradient, td_targets


class QTable:
    """q: Q(s, a), a row for each state; zero at first but for tiny noise, drawn by `rng`, that breaks ties."""

    def __init__(self, n_states, n_actions, reward_scale, settings, rng):
        self.q = self.learnt = rng.uniform(-1e-6, 1e-6, (n_states, n_actions))
        self.n_actions, self.reward_scale, self.settings, self.updates = n_actions, reward_scale, settings, 0

    def values(self, observations):
        return self.q[observations]

    def update(self, batch, imitate=False, step=0):
        """Q(s, .) <- Q(s, .) - table_learning_rate dL/dQ(s, .) for each transition of a Batch, whatever the `step`.

        The gradients of a pair (s, a) that it holds k times are divided by k: so repetition carries no value past its
        target, no error needs clipping, and imitation asks which actions the LLM took more than how often."""
        s, a, settings = batch.observations, batch.actions, self.settings
        q, next_q = self.q.take(s, axis=0), self.q.take(batch.next_observations, axis=0)
        targets = td_targets(batch, q, next_q, self.reward_scale, settings.discount, settings.advantage_learning)
        gradient = imitation_gradient(batch, q) if imitate else td_gradient(batch, q, targets)
        pair = s * self.n_actions + a
        times = np.bincount(pair)[pair]
        np.subtract.at(self.q, s, settings.table_learning_rate * gradient / times[:, None])
        self.updates += 1
