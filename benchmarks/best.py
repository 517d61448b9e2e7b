"""The best attainable mean return of each environment, by dynamic programming: `python benchmarks/best.py [ENV ...]`.

The table environments are exact. MountainCar and Pendulum are planned on a grid of states with bilinear interpolation;
where an action leads, the environment itself is asked. What is printed is what the plan earns when it is played, from
starts spread evenly over those that `reset` draws from: so much is attainable, and a finer grid finds little more.
CartPole cannot pay more than its 200 steps; Pong has no such model.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
import terminal
from envs_text import ENVIRONMENTS, find_environment

NODES = 401  # of the grid, along each of its two sides


def model(env):
    """P (S, A, S) and r (S, A) of a gymnasium.Env with the model `P` of Gymnasium's toy texts: the probability of each
    transition that ends no episode, and the expected reward."""
    n, m = env.observation_space.n, env.action_space.n
    P, r = np.zeros((n, m, n)), np.zeros((n, m))
    for s, actions in env.unwrapped.P.items():
        for a, outcomes in actions.items():
            for p, next_s, reward, terminated in outcomes:
                P[s, a, next_s] += p * (not terminated)
                r[s, a] += p * reward
    return P, r


def exact(env):
    """The optimum of a table environment, by as many backups as its step limit allows steps."""
    (P, r), values = model(env), np.zeros(env.observation_space.n)
    for _ in range(env.spec.max_episode_steps):
        values = (r + P @ values).max(1)
    return env.unwrapped.initial_state_distrib @ values


def outcomes(env, states):
    """The next states (n, A, 2), an angle within -pi..pi; rewards (n, A); terminated (n, A) of states (n, 2)."""
    found = np.empty((len(states), env.action_space.n, 4))
    for i, a in np.ndindex(found.shape[:2]):
        env.unwrapped.state = states[i]
        _, reward, terminated, _, _ = env.step(a)
        found[i, a] = *env.unwrapped.state, reward, terminated
    found[..., 0] = (found[..., 0] + np.pi) % (2 * np.pi) - np.pi  # a position of MountainCar stays as it is
    return found[..., :2], found[..., 2], found[..., 3]


def planned(env, low, high, starts):
    """The mean return from `starts` (n, 2) of acting by a plan on a grid from `low` to `high`."""

    def looked_up(next_states, rewards, terminated):
        """values -> the worth (n, A) of actions: rewards, and values between the four nodes around where they lead."""
        place = (next_states - low) / np.subtract(high, low) * (NODES - 1)
        node = np.minimum(place.astype(int), NODES - 2)
        (i, k), (fi, fk) = np.moveaxis(node, -1, 0), np.moveaxis(place - node, -1, 0)

        def worth(values):
            left, right = (values[j, k] * (1 - fk) + values[j, k + 1] * fk for j in (i, i + 1))
            return rewards + (1 - terminated) * (left * (1 - fi) + right * fi)

        return worth

    env.reset(seed=0)
    limit, grid = env.spec.max_episode_steps, np.meshgrid(*np.linspace(low, high, NODES).T, indexing="ij")
    worth, values = looked_up(*outcomes(env, np.stack(grid, -1).reshape(-1, 2))), [np.zeros((NODES, NODES))]
    for _ in range(limit):
        values.append(worth(values[-1]).max(1).reshape(NODES, NODES))
    states, total = np.array(starts), 0.0
    for left in reversed(range(limit)):
        next_states, rewards, terminated = found = outcomes(env, states)
        chosen = np.arange(len(states)), looked_up(*found)(values[left]).argmax(1)
        total += rewards[chosen].sum()
        states = next_states[chosen][terminated[chosen] == 0]
    return total / len(starts)


def main():
    even = (np.arange(100) + 0.5) / 50 - 1  # a hundred numbers within -1..1
    grids = {
        "MountainCar-v0": ((-1.2, -0.07), (0.6, 0.07), [(-0.5 + 0.1 * x, 0) for x in even]),
        "Pendulum-v1": ((-np.pi, -8), (np.pi, 8), [(np.pi * x, v) for x in even[1::2] for v in even[::2]]),
    }
    parser = terminal.Parser(description="The best attainable mean return of each environment.")
    parser.add_argument("envs", nargs="*", help="the environments; all of the project's")
    for name in parser.parse_args().envs or ENVIRONMENTS:
        environment = find_environment(name)
        env = environment.make()
        if name in grids or hasattr(env.unwrapped, "P"):
            found = f"{planned(env, *grids[name]) if name in grids else exact(env):.3f}"
        else:
            found = "no model"
        print(f"{name:20} {found:>9}   as described: {environment.best_return}", flush=True)


if __name__ == "__main__":
    terminal.guard(main, "best.py")
