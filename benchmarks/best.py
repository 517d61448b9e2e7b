"""The best attainable mean return of each environment, by dynamic programming: `python benchmarks/best.py [ENV ...]`.

The grid worlds are exact. MountainCar and Pendulum are planned on a grid of states with bilinear interpolation; where
an action leads, the environment itself is asked. What is printed is what the plan earns when it is played, from starts
spread evenly over those that `reset` draws from: so much is attainable, and a finer grid finds little more. CartPole
cannot pay more than its 200 steps; Pong has no such model."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import terminal
from envs_text import ENVIRONMENTS, find_environment

NODES = 401  # of a grid of states, along each of its two sides


def model(env):
    """P (S, A, S) and r (S, A) of a gymnasium.Env with the model `P` of Gymnasium's toy texts: the probability of each
    transition that ends no episode, and the expected reward."""
    n, m = env.observation_space.n, env.action_space.n
    P, r = np.zeros((n, m, n)), np.zeros((n, m))
    for s, a in np.ndindex(n, m):
        for p, next_s, reward, terminated in env.unwrapped.P[s][a]:
            P[s, a, next_s] += p * (not terminated)
            r[s, a] += p * reward
    return P, r


def optimal_values(P, r, steps, discount=1.0):
    """Q (S, A) of whoever plays optimally for so many steps more, in a `model`."""
    q = np.zeros(r.shape)
    for _ in range(steps):
        q = r + discount * P @ q.max(1)
    return q


def outcomes(env, states):
    """What each action leads to from `states` (n, 2), (n, A, 4): two numbers of a state, the reward, terminated."""
    found = np.empty((len(states), env.action_space.n, 4))
    for i, a in np.ndindex(found.shape[:2]):
        env.unwrapped.state = states[i]
        _, reward, terminated, _, _ = env.step(a)
        found[i, a] = *env.unwrapped.state, reward, terminated
    found[..., 0] = (found[..., 0] + np.pi) % (2 * np.pi) - np.pi  # an angle; MountainCar's positions stay as they are
    return found


def worth(found, values, low, high):
    """Of actions, (n, A): the rewards, and the grid's `values` between the four nodes around where they lead."""
    place = (found[..., :2] - low) / np.subtract(high, low) * (NODES - 1)
    node = np.minimum(place.astype(int), NODES - 2)
    (i, k), (fi, fk) = np.moveaxis(node, -1, 0), np.moveaxis(place - node, -1, 0)
    left, right = (values[j, k] * (1 - fk) + values[j, k + 1] * fk for j in (i, i + 1))
    return found[..., 2] + (1 - found[..., 3]) * (left * (1 - fi) + right * fi)


def planned(env, low, high, starts):
    """The mean return from `starts` (n, 2) of acting by a plan on a grid from `low` to `high`."""
    env.reset(seed=0)
    nodes = np.stack(np.meshgrid(*np.linspace(low, high, NODES).T, indexing="ij"), -1).reshape(-1, 2)
    found, plan = outcomes(env, nodes), [np.zeros((NODES, NODES))]
    for _ in range(env.spec.max_episode_steps - 1):
        plan.append(worth(found, plan[-1], low, high).max(1).reshape(NODES, NODES))
    states, total = np.array(starts), 0.0
    for values in reversed(plan):  # with so many steps left
        found = outcomes(env, states)
        taken = found[np.arange(len(states)), worth(found, values, low, high).argmax(1)]
        total += taken[:, 2].sum()
        states = taken[taken[:, 3] == 0, :2]
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
        environment, found = find_environment(name), "no model"
        env = environment.make()
        if name in grids:
            found = f"{planned(env, *grids[name]):.3f}"
        elif hasattr(env.unwrapped, "P"):
            values = optimal_values(*model(env), env.spec.max_episode_steps).max(1)
            found = f"{env.unwrapped.initial_state_distrib @ values:.3f}"
        print(f"{name:20} {found:>9}   as described: {environment.best_return}", flush=True)


if __name__ == "__main__":
    terminal.guard(main, "best.py")
