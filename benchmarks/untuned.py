"""Two environments on which nothing was tuned, and a teacher for each that is no language model.

    python benchmarks/untuned.py
    for env in FrozenLake8x8-v1 MountainCarContinuous-v0; do
        python loro.py --env benchmarks.untuned:$env \\
            --rollouts study/untuned/$env.jsonl --method online loro loro-plus clone --seed 100 --seeds 5
    done

The first command records study/untuned/ENV.jsonl: ten episodes of the optimal policy of FrozenLake8x8, a tenth of its
actions at random; and ten of a rule on MountainCarContinuous: push the way the car moves. The numbers of random play
are measure.py's (--episodes 5000 on the lake), the best return is best.py's."""

import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import gymnasium as gym
import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import envs_text
import terminal
from benchmarks.coverage import optimal_play
from episodes import act, play, write_rollouts


def frozen_lake(name):
    return envs_text.frozen_lake(name)._replace(
        rules="You are on a frozen lake of 8x8 cells, with holes. Reach the goal at row 7, column 7. The ice is "
        "slippery, and a move often goes sideways. Actions: 0 = left, 1 = down, 2 = right, 3 = up.",
        describe=lambda s: f"You are at row {s // 8}, column {s % 8}.",
        evaluations=200, random_return=0.0024, random_std=0.049, best_return=0.913,
        grid=tuple("".join(map(bytes.decode, row)) for row in gym.make(name).unwrapped.desc),
    )


def mountain_car(name):
    def make(**options):
        env = gym.make(name, max_episode_steps=200, **options)
        return gym.wrappers.TransformAction(env, lambda a: np.float32([a - 1]), gym.spaces.Discrete(3))

    return envs_text.mountain_car(name)._replace(
        make=make,
        rules="A car stands in a valley, too weak to drive up the right hill, where the flag is (at 0.45), without a "
        "run-up. To reach it pays 100, and a push costs 0.1. Actions: 0 = push left, 1 = do not push, 2 = push right.",
        actions=("push left", "do not push", "push right"),
        evaluations=200, random_return=-13.3, random_std=0.65, best_return=None, reward_scale=1.0,
    )


ENVIRONMENTS = {"FrozenLake8x8-v1": frozen_lake, "MountainCarContinuous-v0": mountain_car}


def main():
    terminal.Parser(description="Records ten episodes of the teacher of each of the two environments.").parse_args()
    lake, hill = (describe(name).make() for name, describe in ENVIRONMENTS.items())
    agent = SimpleNamespace(n_actions=lake.action_space.n, values=optimal_play(lake)[1].__getitem__)
    teachers = (
        (lake, partial(act, agent, 0.1, np.random.default_rng(0)), "the optimal policy, a tenth at random"),
        (hill, lambda s: 1 + int(np.sign(s[1])), "a rule: push the way it moves"),
    )
    for env, policy, who in teachers:
        name = env.spec.id
        episodes = [play(env, policy, seed) for seed in range(10)]
        header = {"env": f"benchmarks.untuned:{name}", "model": who}
        write_rollouts(ROOT / "study" / "untuned" / f"{name}.jsonl", header, episodes)
        print(name, "by", who, [round(episode.total, 1) for episode in episodes])


if __name__ == "__main__":
    terminal.guard(main, "untuned.py")
