"""The best attainable mean return of each environment, by dynamic programming: `python benchmarks/best.py [ENV ...]`.

The table environments are exact. MountainCar and Pendulum are planned on a grid of states with bilinear interpolation.
What is printed is what the plan earns when it is played, from starts spread evenly over those that `reset` draws from:
so much is attainable, and a finer grid finds little more. CartPole cannot pay more than its 200 steps; Pong has no such
model.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
import terminal
from envs_text import ENVIRONMENTS, find_environment

NODES = 801  # of the grid, along each of its two sides


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


def mountain_car(x, v, action):
    """(x', v', reward, terminated) as Gymnasium's MountainCar-v0 moves, for arrays of positions and speeds."""
    v = np.clip(v + (action - 1) * 0.001 - 0.0025 * np.cos(3 * x), -0.07, 0.07)
    x = np.clip(x + v, -1.2, 0.6)
    v = np.where((x <= -1.2) & (v < 0), 0, v)
    return x, v, np.full(x.shape, -1.0), x >= 0.5


def within_pi(angle):
    return (angle + np.pi) % (2 * np.pi) - np.pi


def pendulum(x, v, action):
    """(x', v', reward, terminated) as Gymnasium's Pendulum-v1 moves, x being the angle, within -pi..pi."""
    torque = action - 2.0
    reward = -(x**2 + 0.1 * v**2 + 0.001 * torque**2)
    v = np.clip(v + (15 * np.sin(x) + 3 * torque) * 0.05, -8, 8)
    return within_pi(x + 0.05 * v), v, reward, np.zeros(x.shape, bool)


def planned(env, move, low, high, starts):
    """The mean return from `starts`, (x, v), of acting by a plan on a grid from `low` to `high`."""
    check(env, move)
    actions, low, high = range(env.action_space.n), np.array(low), np.array(high)

    def worth(values, x, v, action):
        """Of an action: its reward and the value of where it leads, interpolated between the four nodes around."""
        x, v, reward, terminated = move(x, v, action)
        x, v = ((z - a) / (b - a) * (NODES - 1) for z, a, b in zip((x, v), low, high))
        i, k = (np.minimum(z.astype(int), NODES - 2) for z in (x, v))
        fx, fv = x - i, v - k
        left, right = (values[j, k] * (1 - fv) + values[j, k + 1] * fv for j in (i, i + 1))
        return reward + ~terminated * (left * (1 - fx) + right * fx)

    limit = env.spec.max_episode_steps
    grid = np.meshgrid(*np.linspace(low, high, NODES).T, indexing="ij")
    values = [np.zeros((NODES, NODES), np.float32)]  # with so many steps left
    for _ in range(limit):
        values.append(np.max([worth(values[-1], *grid, action) for action in actions], 0).astype(np.float32))
    x, v = starts
    playing, total = np.ones(x.shape, bool), 0.0
    for left in reversed(range(limit)):
        chosen = np.argmax([worth(values[left], x, v, action) for action in actions], 0)
        x, v, reward, terminated = move(x, v, chosen)
        total += (playing * reward).mean()
        playing &= ~terminated
    return total


def check(env, move):
    """That `move` does as the environment does, on a thousand steps of random play."""
    rng, done = np.random.default_rng(0), True
    for _ in range(1000):
        if done:
            env.reset(seed=int(rng.integers(2**31)))
        action, state = int(rng.integers(env.action_space.n)), np.array(env.unwrapped.state)
        state[0] = within_pi(state[0])  # a position of MountainCar stays as it is
        *expected, reward, terminated = move(*state, action)
        _, found, end, truncated, _ = env.step(action)
        difference = np.array([*expected, reward]) - [*env.unwrapped.state, found]
        difference[0] = np.sin(difference[0] / 2)  # angles may be a turn apart
        assert np.abs(difference).max() < 1e-6 and terminated == end, (state, action)
        done = end or truncated


def main():
    even = (np.arange(400) + 0.5) / 200 - 1  # 400 numbers within -1..1
    angle, speed = (z.ravel() for z in np.meshgrid(np.pi * even, even))
    models = {
        "MountainCar-v0": (mountain_car, (-1.2, -0.07), (0.6, 0.07), (-0.5 + 0.1 * even, 0 * even)),
        "Pendulum-v1": (pendulum, (-np.pi, -8), (np.pi, 8), (angle, speed)),
    }
    for name in sys.argv[1:] or ENVIRONMENTS:
        environment = find_environment(name)
        env = environment.make()
        if name in models:
            found = planned(env, *models[name])
        elif hasattr(env.unwrapped, "P"):
            found = exact(env)
        else:
            continue
        print(f"{name:20} {found:9.3f}   as described: {environment.best_return}", flush=True)


if __name__ == "__main__":
    terminal.guard(main, "best.py")
