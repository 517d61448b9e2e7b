"""Trust: how far to follow the LLM, by the returns of its episodes and of the learner's."""

import math
from collections import deque
from statistics import NormalDist

import numpy as np


class Teacher:
    """Whoever played the episodes that a learner starts from. `trust` is from 0 to 1:

        trust = max(0, 2 P(teacher > random) - 1) min(1, 2 P(teacher > learner))

    P(a > b) is how surely the mean return of a is above that of b. The learner counts as random until it has played: so
    a good teacher is followed at once, and dropped, like a bad one, when the learner clearly outdoes it. A random one
    gets 0 in half of all cases, and 0.25 on average.

    returns: of the teacher's episodes (none: trust is 0). random_return: the mean of a random policy. window: how many
    of the learner's last episodes count. earned: False leaves trust at 1."""

    def __init__(self, returns, random_return, window, earned=True):
        self.returns, self.random_return, self.earned = returns, random_return, earned
        self.learner_returns = deque([random_return] * window, maxlen=window)
        self.judge()

    def watch(self, own_return):
        self.learner_returns.append(own_return)
        self.judge()

    def judge(self):
        self.trust = 1.0 if self.returns else 0.0
        if self.earned and self.returns:
            beats_random = 2 * probability_above(self.returns, [self.random_return]) - 1
            not_outdone = 2 * probability_above(self.returns, self.learner_returns)
            self.trust = max(0.0, beats_random) * min(1.0, not_outdone)


def probability_above(a, b):
    """P(a > b) = Phi((mean(a) - mean(b)) / standard error): Welch 1947, taken as normal. One number counts as exact."""
    errors = [np.std(x, ddof=1) / math.sqrt(len(x)) if len(x) > 1 else 0.0 for x in (a, b)]
    return NormalDist(np.mean(b), max(math.hypot(*errors), 1e-9)).cdf(np.mean(a))
