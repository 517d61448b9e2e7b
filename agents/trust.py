"""Trust: who is to play, the clone of the LLM or the learner, by what either has earned."""

import numpy as np


class Judge:
    """Decides by returns who is trusted: the clone (trust 1) or the learner (0). The clone never is if its teacher does
    not beat random play beyond doubt; else it is as long as the learner is not level with it:

        trust = 1 if lower_bound(teacher, random_std) > random_return and mean(learner) <= lower_bound(clone), else 0

    teacher: the returns of the episodes that a run starts from. clone: these, and all that the clone has earned since:
    it no longer changes. learner, which gets better: the later half of [random_return] * prior + what it has earned.
    random_return, random_std: the mean and the standard deviation of random play's returns."""

    def __init__(self, teacher_returns, random_return, random_std, prior):
        self.beats_random = bool(teacher_returns) and lower_bound(teacher_returns, random_std) > random_return
        self.clone_returns, self.learner_returns = list(teacher_returns), [random_return] * prior

    @property
    def trust(self):
        learner = self.learner_returns[len(self.learner_returns) // 2 :]
        return float(self.beats_random and np.mean(learner) <= lower_bound(self.clone_returns))


def lower_bound(returns, least_std=0.0):
    """mean - 2 std / sqrt(n) of n `returns`, two standard errors below their mean: what they are drawn from has a lower
    mean in 4% of cases for n = 10, 9% for 3 (Student 1908). As few may agree by chance, std is at least `least_std`."""
    std = np.std(returns, ddof=1) if len(returns) > 1 else 0.0
    return np.mean(returns) - 2 * max(std, least_std) / np.sqrt(len(returns))
