"""The planner that finds the best attainable return."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import best

LOW, HIGH = (-1.0, 0.0), (2.0, 10.0)


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    monkeypatch.setattr(best, "NODES", 31)


def test_between_the_nodes_of_a_plane_lies_the_plane():
    def plane(x, y):
        return 3 + 2 * x - 5 * y

    nodes = [np.linspace(*ends, best.NODES) for ends in zip(LOW, HIGH)]
    x, y = np.random.default_rng(0).uniform(LOW, HIGH, (50, 2)).T
    found = np.stack([x, y, np.full(50, 7.0), np.arange(50) % 2], -1)[:, None]  # each second one ends the episode
    expected = 7 + np.where(np.arange(50) % 2, 0, plane(x, y))
    np.testing.assert_allclose(best.worth(found, plane(*np.meshgrid(*nodes, indexing="ij")), LOW, HIGH)[:, 0], expected)


class Walk:
    """Action a moves the first number by a / 2. A step pays what it has become; beyond 1.4 the episode ends."""

    action_space, spec, state = SimpleNamespace(n=2), SimpleNamespace(max_episode_steps=5), None
    unwrapped = property(lambda self: self)

    def reset(self, seed):
        pass

    def step(self, action):
        x, y = self.state
        self.state = min(x + action / 2, 2.0), y
        return None, self.state[0], self.state[0] > 1.4, False, {}


def test_a_plan_earns_the_most_that_its_steps_allow():
    start_low, start_high, ends_at_once = (0.0, 3.0), (0.5, 3.0), (1.3, 3.0)
    assert best.planned(Walk(), LOW, HIGH, [start_low]) == pytest.approx(0.5 + 1 + 1 + 1 + 1.5)
    assert best.planned(Walk(), LOW, HIGH, [start_high]) == pytest.approx(1 + 1 + 1 + 1 + 1.5)
    assert best.planned(Walk(), LOW, HIGH, [ends_at_once]) == pytest.approx(1.3 * 4 + 1.8)
    assert best.planned(Walk(), LOW, HIGH, [start_low, start_high]) == pytest.approx((5 + 5.5) / 2)
