"""Q-learning on a table (Watkins & Dayan 1992), in batches."""

import numpy as np

from .loss import imitation_gradient, td_gradient, td_targets


class QTable:
    """q: Q(s, a), a row for each state; zero at first but for tiny noise, drawn by `rng`, that breaks ties."""

    def __init__(self, n_states, n_actions, reward_scale, settings, rng):
        self.q = self.learnt = rng.uniform(-1e-6, 1e-6, (n_states, n_actions))
        self.n_actions, self.reward_scale, self.settings, self.updates = n_actions, reward_scale, settings, 0

    def values(self, observations):
        return self.q.take(observations, axis=0)

    def update(self, batch, imitate=False, step=0):
        """Q(s, .) <- Q(s, .) - table_learning_rate dL/dQ(s, .) / k for each transition of a Batch, whatever the `step`.

        k is how often its pair (s, a) is in the Batch, so a pair moves by the mean of its gradients: no value passes
        its mean target, and no error needs clipping. In imitation k is how often its s is: a row moves by the mean."""
        s, a, q, settings = batch.observations, batch.actions, self.values(batch.observations), self.settings
        if imitate:
            gradient = imitation_gradient(batch, q)
        else:
            next_q = self.values(batch.next_observations)
            y = td_targets(batch, q, next_q, self.reward_scale, settings.discount, settings.advantage_learning)
            gradient = td_gradient(batch, q, y)
        group = s if imitate else np.ravel_multi_index((s, a), self.q.shape)
        k = np.bincount(group)[group]
        np.subtract.at(self.q, s, settings.table_learning_rate * gradient / k[:, None])  # `-=` drops repeated s
        self.updates += 1
