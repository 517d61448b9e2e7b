"""The loss that both learners minimise: its targets y, and its gradient in the action values Q(s, .)."""

from functools import reduce  # np.maximum over the columns of q.T, since NumPy is slow along short rows

import numpy as np


def td_targets(batch, q, next_q, alpha, reward_scale, discount, advantage_learning):
    """y (B,) from Q(s, .) and Q(s', .), both (B, actions): persistent advantage learning.

        y = r + max(discount max_a' Q(s', a') - advantage_learning gap,  discount Q(s', a))
        gap = max_a' Q(s, a') - Q(s, a)

    At advantage_learning 0 this is Q-learning. Above, the target of an action falls by a share of its gap to the best,
    not below what doing it once more is worth: so small errors no longer decide which is best. (Bellemare et al. 2016,
    arXiv 1512.04860, section 4; here the maximum is each sample's.) What the LLM did has no gap while alpha > 0: there
    the conservative term keeps the actions apart. Termination ends the bootstrap, truncation not."""
    rows, a = np.arange(len(q)), batch.actions
    discounts = np.float32(discount) * ~batch.terminated
    gap = (reduce(np.maximum, q.T) - q[rows, a]) * ~(batch.from_llm & (alpha > 0))
    best = discounts * reduce(np.maximum, next_q.T) - advantage_learning * gap
    return reward_scale * batch.rewards + np.maximum(best, discounts * next_q[rows, a])


def loss_gradient(batch, q, targets, alpha, td=True, clip=np.inf):
    """dL/dQ(s, .) (B, actions) of each transition of a Batch, from Q(s, .) (B, actions) and y (B,), for

        L = Huber(Q(s, a) - y) + alpha logsumexp_a' Q(s, a')        here Q(s, a) is a constant in the second term
        L = alpha (logsumexp_a' Q(s, a') - Q(s, a))                 at td = False: imitation

    Huber's loss has the TD error Q(s, a) - y, clipped to -clip..clip, as its derivative (Mnih et al. 2015). The second
    is the conservative term (CQL: Kumar et al. 2020, eq. 4), for the LLM's transitions alone. Its derivative, alpha
    (softmax(Q(s, .)) - onehot(a)), raises what the LLM did and lowers all else. With a TD error it only lowers: what
    the LLM did is worth what came of it, no more."""
    rows, a = np.arange(len(q)), batch.actions
    gradient = np.zeros(q.shape, q.dtype)
    if alpha:
        exp = np.exp(q - reduce(np.maximum, q.T)[:, None])
        softmax = exp / sum(exp.T)[:, None]
        softmax[rows, a] = 0 if td else softmax[rows, a] - 1
        gradient = np.float32(alpha) * batch.from_llm[:, None] * softmax
    gradient[rows, a] += td * np.minimum(np.maximum(q[rows, a] - targets, -clip), clip)
    return gradient
