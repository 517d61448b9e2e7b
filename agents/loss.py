"""TD targets y, and the gradients with respect to Q(s, .) of the two losses that QTable and DQN minimise."""

import numpy as np


def td_targets(batch, q, next_q, reward_scale, discount, advantage_learning):
    """y (B,) from Q(s, .) and Q(s', .), both (B, actions): persistent advantage learning.

        y = r + max(discount * max_a' Q(s', a') - advantage_learning * gap,  discount * Q(s', a))
        gap = max_a' Q(s, a') - Q(s, a),  and r is the reward * reward_scale

    The best action in s has no gap: for it this is Q-learning, and Q a return. Other targets fall by a share of their
    gaps, so that small errors no longer decide which is best, but not below the worth of doing the same again in s'
    (Baird 1999; Bellemare et al. 2016). A terminal s' is worth 0; one at the time limit is worth what Q says."""
    rows, a = np.arange(len(q)), batch.actions
    discounts = np.float32(discount) * ~batch.terminated  # 0 for a terminal s'; float32, as a network's Q
    best, next_best = q.argmax(1), next_q.argmax(1)  # looked up below, since max(1) takes twice as long
    gap = q[rows, best] - q[rows, a]
    lowered = discounts * next_q[rows, next_best] - advantage_learning * gap
    return reward_scale * batch.rewards + np.maximum(lowered, discounts * next_q[rows, a])


def td_gradient(batch, q, y, clip=np.inf):
    """dL/dQ(s, .) (B, actions), a row for each transition of a Batch, from Q(s, .) (B, actions) and y (B,), for

        L = Huber(Q(s, a) - y), linear beyond `clip`

    Its derivative is the TD error Q(s, a) - y, clipped to -clip..clip (Mnih et al. 2015)."""
    rows, a = np.arange(len(q)), batch.actions
    gradient = np.zeros(q.shape, q.dtype)
    gradient[rows, a] = (q[rows, a] - y).clip(-clip, clip)
    return gradient


def imitation_gradient(batch, q):
    """dL/dQ(s, .) (B, actions) for the cross-entropy of a classifier of what the LLM did, with Q(s, .) as its logits:

        L = logsumexp_a' Q(s, a') - Q(s, a) = -log softmax(Q(s, .))_a    (CQL's conservative term: Kumar et al. 2020)

    A step against its derivative, softmax(Q(s, .)) - onehot(a), raises what the LLM did and lowers all else."""
    exp = np.exp(q - q.max(1, keepdims=True))
    gradient = exp / exp.sum(1, keepdims=True)
    gradient[np.arange(len(q)), batch.actions] -= 1
    return gradient
