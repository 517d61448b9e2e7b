"""The loss that both learners minimise, as its gradient in the action values Q(s, .)."""

import numpy as np


def td_targets(batch, next_values, reward_scale, discount):
    """y = r + discount V(s'), all of shape (B,). Termination ends the bootstrap, truncation does not."""
    return reward_scale * batch.rewards + discount * next_values * ~batch.terminated


def loss_gradient(q, targets, batch, conservatism, clip=np.inf):
    """dL/dQ(s, .) of shape (B, actions), one row a transition, and the TD errors Q(s, a) - y of shape (B,).

    L = Huber(Q(s, a) - y) + alpha (logsumexp_a' Q(s, a') - Q(s, a)), the second part for the LLM's transitions only.
    The Huber loss of threshold `clip` has the TD error, clipped, as its gradient (Mnih et al. 2015). The conservative
    term, eq. 4 of Kumar et al. 2020 (CQL), has alpha (softmax(Q(s, .)) - onehot(a)): it lowers what the LLM did not do.
    q: (B, actions). targets: (B,). conservatism: alpha.
    """
    rows = np.arange(len(q))
    alpha = q.dtype.type(conservatism) * batch.from_llm
    error = q[rows, batch.actions] - targets
    if conservatism:
        softmax = np.exp(q - q.max(1, keepdims=True))
        softmax /= softmax.sum(1, keepdims=True)
        gradient = alpha[:, None] * softmax
    else:
        gradient = np.zeros(q.shape, q.dtype)
    gradient[rows, batch.actions] += error.clip(-clip, clip) - alpha
    return gradient, error
