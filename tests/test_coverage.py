"""What recordings cover of optimal play."""

import numpy as np
import pytest
from helpers import environment, recorded

from benchmarks.coverage import coverage, optimal_play


def test_the_optimal_policy_walks_along_the_cliff():
    d, optimal = optimal_play(environment("CliffWalking-v1").make())
    walked = [36, *range(24, 36)]
    assert np.flatnonzero(d.sum(1)).tolist() == sorted(walked)
    assert d[walked].max(1) == pytest.approx(1 / 13)
    assert optimal[36].tolist() == [True, False, False, False]  # up, from the start


def test_a_missing_pair_is_not_covered_and_a_single_right_step_covers_its_share():
    env, (episode, *_) = environment("CliffWalking-v1").make(), recorded("CliffWalking-v1")[1]
    first = episode._replace(observations=episode.observations[:2], actions=episode.actions[:1])
    assert coverage(env, [episode]) == (13, 13, pytest.approx(1), pytest.approx(1))
    assert coverage(env, [first]) == (13, 1, pytest.approx(1 / 13), np.inf)
    assert coverage(env, [first._replace(actions=np.array([1]))]) == (13, 0, 0, np.inf)
