"""Trust: who plays the evaluations and is kept, the clone of the LLM or the learner, by what either has earned."""

import numpy as np


class Judge:
    """Trusts the clone (1) if its teacher surely beats random play, while it is surely no worse than the learner:

        trust = bound(teacher, -2, random_std) > random_return and bound(clone, -2) >= bound(learner, 2)

    teacher: the returns of a run's first episodes. clone, which no longer changes: these, and its own. learner, which
    gets better: the later half of [random_return] * prior_episodes and its own. `run` appends each return in training
    to the list of who earned it. random_return, random_std: mean and standard deviation of random play's returns."""

    def __init__(self, teacher_returns, random_return, random_std, prior_episodes):
        self.beats_random = bool(teacher_returns) and bound(teacher_returns, -2, random_std) > random_return
        self.clone_returns, self.learner_returns = list(teacher_returns), [random_return] * prior_episodes

    @property
    def trust(self):
        later_half = self.learner_returns[len(self.learner_returns) // 2 :]
        return float(self.beats_random and bound(self.clone_returns, -2) >= bound(later_half, 2))


def bound(returns, n_errors, least_std=0.0):
    """The mean of n `returns` + n_errors standard errors, std / sqrt(n); but at most the best of them. For -2 errors
    the true mean of normal returns is below it in 4% of cases for n = 10, 9% for 3 (Student 1908). A few returns may
    agree by luck: std counts as `least_std` at least. Equal returns are their own mean, unrounded, so bounds tie."""
    mean, std = (np.mean(returns), np.std(returns, ddof=1)) if len(set(returns)) > 1 else (returns[0], 0.0)
    return min(mean + n_errors * max(std, least_std) / np.sqrt(len(returns)), max(returns))
