"""Two environments on which nothing was tuned, and a teacher for each that is no language model.

    python benchmarks/untuned.py
    for env in FrozenLake8x8-v1 MountainCarContinuous-v0; do
        python loro.py --env benchmarks.untuned:$env --rollouts study/untuned/$env.jsonl --seed 100 --seeds 5
    done

The first command records study/untuned/ENV.jsonl: ten episodes of the optimal policy of FrozenLake8x8 (`exact` of
best.py), a tenth of its actions at random; and ten of a rule on MountainCarContinuous: push the way the car moves.
Numbers are measure.py's.
"""

import sys
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.best import model
from envs_text import Environment
from episodes import play, write_rollouts


def frozen_lake(name):
    return Environment(
        make=partial(gym.make, name),
        rules="You are on a frozen lake of 8x8 cells, with holes. Reach the goal at row 7, column 7. The ice is "
        "slippery, and a move often goes sideways. Actions: 0 = left, 1 = down, 2 = right, 3 = up.",
        describe=lambda s: f"You are at row {s // 8}, column {s % 8}.",
        actions=("left", "down", "right", "up"),
        evaluations=200,
        random_return=0.0024,
        random_std=0.049,
        best_return=0.913,
        reward_scale=1.0,
        grid=tuple("".join(map(bytes.decode, row)) for row in gym.make(name).unwrapped.desc),
    )


def mountain_car(name):
    def make(**options):
        env = gym.make(name, max_episode_steps=200, **options)
        return gym.wrappers.TransformAction(env, lambda a: np.float32([a - 1]), gym.spaces.Discrete(3))

    return Environment(
        make=make,
        rules="A car stands in a valley, too weak to drive up the right hill, where the flag is, without a run-up. "
        "To reach it pays 100, and each push costs 0.1. Actions: 0 = push left, 1 = do not push, 2 = push right.",
        describe=lambda s: f"The car is at {s[0]:.3f} (the flag at 0.45) and moves at {s[1]:.4f}.",
        actions=("push left", "do not push", "push right"),
        evaluations=200,
        random_return=-13.3,
        random_std=0.65,
        best_return=None,
        reward_scale=1.0,
        low=(-1.2, -0.07),
        high=(0.6, 0.07),
    )


ENVIRONMENTS = {"FrozenLake8x8-v1": frozen_lake, "MountainCarContinuous-v0": mountain_car}


def optimal(env, discount=0.99):
    """The policy s -> a of a table environment that is optimal with that discount, by value iteration."""
    (P, r), values = model(env), np.zeros(env.observation_space.n)
    for _ in range(2000):
        values = (r + discount * P @ values).max(1)
    best = (r + discount * P @ values).round(9).argmax(1)  # so that rounding errors decide no tie
    return lambda s: int(best[s])


def at_random(policy, share, n_actions, rng):
    """That policy, but for a share of its actions, which are random."""
    return lambda s: int(rng.integers(n_actions)) if rng.random() < share else policy(s)


def main():
    lake, hill = (describe(name).make() for name, describe in ENVIRONMENTS.items())
    careless = at_random(optimal(lake), 0.1, lake.action_space.n, np.random.default_rng(0))
    teachers = (
        (lake, careless, "the optimal policy, a tenth at random"),
        (hill, lambda s: 1 + int(np.sign(s[1])), "a rule: push the way it moves"),
    )
    for env, policy, who in teachers:
        name = env.spec.id
        episodes = [play(env, policy, seed) for seed in range(10)]
        header = {"env": f"benchmarks.untuned:{name}", "model": who}
        write_rollouts(ROOT / "study" / "untuned" / f"{name}.jsonl", header, episodes)
        print(name, "by", who, [round(episode.total, 1) for episode in episodes])


if __name__ == "__main__":
    main()
