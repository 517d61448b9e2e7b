"""Ten episodes are few, and some starts are easier than others: `python benchmarks/starts.py`.

The learner, pretrained on the LLM's episodes and before it plays itself, from the LLM's own starts and from 300 others.
Where it repeats the LLM on the former, the difference shows how much of the LLM's return was due to its starts.
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT)]

import loro
from envs_text import find_environment
from episodes import play, read_rollouts

SEEDS = range(100, 120)
OTHERS = range(10_000, 10_300)


def mean_return(agent, env, starts):
    """The mean return of `agent` from the starts that the seeds `starts` make."""
    return np.mean([play(env, lambda observation: agent.act(observation[None])[0], seed).total for seed in starts])


def main():
    print("| environment | the LLM, from its ten starts | the learner from those | from 300 others |")
    print("| --- | ---: | ---: | ---: |")
    for name in ("MountainCar-v0", "Pendulum-v1"):
        environment = find_environment(name)
        env = environment.make()
        _, episodes = read_rollouts(ROOT / "rollouts" / f"{name}.jsonl", name, env)
        settings = loro.Settings(evaluations=len(episodes) + 1, llm_episodes=len(episodes))
        agents = [loro.run(environment, loro.METHODS["loro"], seed, settings, episodes)[1] for seed in SEEDS]
        llm, own_starts = np.mean([episode.total for episode in episodes]), [episode.seed for episode in episodes]
        means = [np.mean([mean_return(agent, env, starts) for agent in agents]) for starts in (own_starts, OTHERS)]
        print(f"| {name} | {llm:.1f} | {means[0]:.1f} | {means[1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
