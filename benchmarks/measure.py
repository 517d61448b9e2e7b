"""What the description of an environment needs, measured on random play: `python benchmarks/measure.py MODULE:NAME`.

Put any numbers into the description first, low and high as long as a vector observation; this prints better ones.
The range of each number of an observation is the space's own where that is finite, else that of all but one in a
hundred. reward_scale is 0.2 / mean |reward of a step|, at most 1."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import terminal
from envs_text import find_environment
from episodes import play


def measure(environment, n):
    """{a field of Environment: its value} by `n` episodes of a random policy, from seeds 0..n-1."""
    env, rng = environment.make(), np.random.default_rng(0)
    episodes = [play(env, lambda observation: rng.integers(env.action_space.n), seed) for seed in range(n)]
    rewards = np.concatenate([episode.rewards for episode in episodes])
    scale = min(1, 0.2 / max(abs(rewards).mean(), 1e-9))
    returns = [episode.total for episode in episodes]
    found = {"random_return": np.mean(returns), "random_std": np.std(returns, ddof=1), "reward_scale": scale}
    observations = np.concatenate([episode.observations for episode in episodes])
    if observations.ndim > 1:
        usual_bounds = np.quantile(observations, [0.005, 0.995], axis=0)
        usual_bounds += np.where(np.ptp(usual_bounds, axis=0) > 0, 0, [[-0.5], [0.5]])  # around what never changes
        for name, usual in zip(("low", "high"), usual_bounds):
            own = getattr(env.observation_space, name, np.inf)
            found[name] = np.where(abs(own) < 1e9, own, usual)
    return found


def main():
    parser = terminal.Parser(description="What the description of an environment needs, measured.")
    parser.add_argument("env", help="one of the project's, or your own MODULE:NAME")
    parser.add_argument("--episodes", type=terminal.number(int, 2), default=100, help="how many (%(default)s)")
    options = parser.parse_args()
    for name, value in measure(find_environment(options.env), options.episodes).items():
        digits = 8 if name in ("low", "high") else 3  # a range may be narrow, and far from 0; float32 has no more
        shown = [float(f"{x:.{digits}g}") for x in np.atleast_1d(value)]
        print(f"{name}={shown if np.ndim(value) else shown[0]},")


if __name__ == "__main__":
    terminal.guard(main, "measure.py")
