"""Q-learning on a table (Watkins & Dayan 1992), in batches."""

import numpy as np

from .loss import loss_gradient, td_targets


class QTable:
    """Q(s, a) for states 0..n_states-1 and actions 0..n_actions-1; zero at first, but for a trace that breaks ties.

    rng: the numpy.random.Generator of that trace. reward_scale: what rewards are multiplied by. action_gap: see
    `td_targets`. learning_rate: the share of a TD error that an update removes.
    """

    def __init__(self, n_states, n_actions, rng, reward_scale=1.0, action_gap=0.0, learning_rate=0.05, discount=0.99):
        self.q = rng.uniform(-1e-6, 1e-6, (n_states, n_actions))
        self.reward_scale, self.learning_rate = reward_scale, learning_rate
        self.discount, self.action_gap = discount, action_gap

    def act(self, observations):
        """The greedy actions (n,) in the states (n,)."""
        return self.q[observations].argmax(1)

    def learn(self, batch, conservatism=0.0):
        """Q(s, .) <- Q(s, .) - learning_rate dL/dQ(s, .) for each transition; returns the mean squared TD error.

        A pair (s, a) that the Batch holds k times moves by the mean of its k gradients, so that repetition cannot carry
        it past its target.
        """
        s, a = batch.observations, batch.actions
        q, next_q = self.q[s], self.q[batch.next_observations]
        targets = td_targets(batch, q, next_q, next_q.argmax(1), self.reward_scale, self.discount, self.action_gap)
        gradient, error = loss_gradient(q, targets, batch, conservatism)
        pairs = s * self.q.shape[1] + a
        gradient /= np.bincount(pairs)[pairs, None]
        np.subtract.at(self.q, s, self.learning_rate * gradient)
        return float(error @ error) / len(error)
