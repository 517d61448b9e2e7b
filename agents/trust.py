"""Trust: who is to play, the clone of the LLM or the learner, by what either has earned."""

import numpy as np


class Judge:
    """Trusts the clone (1) if its teacher surely beats random play, and while it is surely no worse than the learner:

        trust = interval(teacher, random_std)[0] > random_return and interval(clone)[0] >= interval(learner)[1]

    teacher: the returns of a run's first episodes. clone, which no longer changes: these, and all it has earned since.
    learner, which gets better: the later half of [random_return] * prior and all it has earned. random_return,
    random_std: the mean and the standard deviation of random play's returns."""

    def __init__(self, teacher_returns, random_return, random_std, prior):
        self.beats_random = bool(teacher_returns) and interval(teacher_returns, random_std)[0] > random_return
        self.clone_returns, self.learner_returns = list(teacher_returns), [random_return] * prior

    @property
    def trust(self):
        later_half = self.learner_returns[len(self.learner_returns) // 2 :]
        return float(self.beats_random and interval(self.clone_returns)[0] >= interval(later_half)[1])


def interval(returns, least_std=0.0):
    """The ends of mean ± 2 std / sqrt(n) of n `returns`, the upper one at most the best of them. The true mean is less
    than the lower in 4% of cases for n = 10, 9% for 3 (Student 1908). As few may agree by luck, std >= `least_std`."""
    std = np.std(returns, ddof=1) if len(returns) > 1 else 0.0
    half_width = 2 * max(std, least_std) / np.sqrt(len(returns))
    return np.mean(returns) - half_width, min(np.mean(returns) + half_width, max(returns))
