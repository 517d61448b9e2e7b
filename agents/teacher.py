"""Trust: how far to follow the LLM, by the returns of its episodes and of the learner's."""

import math
from collections import deque
from statistics import NormalDist

import numpy as np


class Teacher:
    """Whoever played the episodes that a learner starts from. `trust` is from 0 to 1:

        trust = max(0, 1 - 20 P(random > teacher)) * min(1, max(0, 4 P(teacher > learner) - 1))

    P(a > b) is how surely the mean return of a is above that of b. A teacher must be better than random beyond doubt:
    of those that are not, about one in twenty is followed. A good one is followed in full by a learner that is level
    with it (P = 1/2), and not at all by one that outdoes it with three chances in four.

    returns: of the teacher's episodes (none: trust is 0). random_return, random_std: the mean of a random policy's
    returns, and their standard deviation. window: how many of the learner's last episodes count, of those that it is
    told of; until then, the learner counts as random. earned: False leaves trust at 1."""

    def __init__(self, returns, random_return, random_std, window, earned=True):
        self.returns, self.random_return, self.random_std, self.earned = returns, random_return, random_std, earned
        self.learner_returns = deque([random_return] * window, maxlen=window)
        self.watch(random_return)

    def watch(self, own_return):
        """Judges anew, after an episode of the learner with that return."""
        self.learner_returns.append(own_return)
        self.trust = 1.0 if self.returns else 0.0
        if self.earned and self.returns:
            above_random = probability_above(self.returns, [self.random_return], self.random_std)
            not_outdone = 4 * probability_above(self.returns, self.learner_returns) - 1
            self.trust = max(0.0, 1 - 20 * (1 - above_random)) * min(1.0, max(0.0, not_outdone))


def probability_above(a, b, known_std=0.0):
    """P(a > b) = F(t), t = (mean(a) - mean(b)) / standard error, F Student's distribution with n_a + n_b - 2 degrees of
    freedom, by the approximation of Wallace 1959. One number counts as exact. Returns that agree by chance look too
    sure; so, with `known_std`, it is also no more than the normal distribution says for that deviation of a."""
    errors = [np.std(x, ddof=1) / math.sqrt(len(x)) if len(x) > 1 else 0.0 for x in (a, b)]
    difference, n = np.mean(a) - np.mean(b), max(1, len(a) + len(b) - 2)
    t, z = (difference / max(error, 1e-9) for error in (math.hypot(*errors), known_std / math.sqrt(len(a))))
    t = (8 * n + 1) / (8 * n + 3) * math.copysign(math.sqrt(n * math.log1p(t * t / n)), t)
    return min(map(NormalDist().cdf, (t, z))) if known_std else NormalDist().cdf(t)
