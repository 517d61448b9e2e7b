"""The loss that both learners minimise, as its gradient in the action values Q(s, .)."""

import numpy as np


def td_targets(batch, q, next_q, best, reward_scale, discount, action_gap):
    """y of shape (B,) for a* = `best`, by persistent advantage learning (Bellemare et al. 2016, arXiv 1512.04860):

        y = r + discount Q(s', a*) - min(action_gap (max_a' Q(s, a') - Q(s, a)), discount (Q(s', a*) - Q(s', a)))

    Without its last term this is Q-learning. That term takes from an action a share of what it lacks to the best one,
    but no more than repeating it would cost: the best action keeps its value and stands out from the others, so that
    small errors no longer decide which it is. Termination ends the bootstrap, truncation does not.
    q, next_q: Q(s, .) and Q(s', .) of shape (B, actions). best: ints (B,). action_gap: from 0, for Q-learning, to 1.
    """
    rows, a = np.arange(len(q)), batch.actions
    after_best, after_same = (discount * next_q[rows, next_a] * ~batch.terminated for next_a in (best, a))
    lacks = action_gap * (q.max(1) - q[rows, a])
    costs = np.maximum(after_best - after_same, 0)  # Below 0 where another network chose a*.
    return reward_scale * batch.rewards + after_best - np.minimum(lacks, costs)


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
