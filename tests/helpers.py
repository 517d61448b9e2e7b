"""What several tests share: batches, learners, worlds to run in, and independent ways to a right answer."""

import json
import os
import subprocess
import sys
import threading
from functools import cache, partial
from pathlib import Path

import gymnasium as gym
import numpy as np

import loro
from agents.dqn import DQN
from agents.replay import Batch
from agents.tabular import QTable
from envs_text import Environment, find_environment
from episodes import Episode, read_rollouts

ROOT = Path(__file__).parent.parent
SHIPPED = ["FrozenLake-v1", "CliffWalking-v1", "CartPole-v1", "MountainCar-v0", "Pendulum-v1", "RepresentedPong-v0"]
SETTINGS = loro.Settings(evaluations=1)


def batch(observations, actions, rewards=0.0, next_observations=None, terminated=True):
    """A Batch, a transition for each action; rewards and terminated are one for all or a sequence."""
    n = len(actions)
    observations = np.asarray(observations)
    next_observations = observations if next_observations is None else np.asarray(next_observations)
    rewards, terminated = np.full(n, rewards, np.float32), np.full(n, terminated)
    return Batch(observations, np.asarray(actions), rewards, next_observations, terminated)


def random_batch(rng, n, n_actions, states=(0,)):
    """A Batch of n transitions between `states`, every column at random."""
    s, s2 = np.asarray(states)[rng.integers(len(states), size=(2, n))]
    return batch(s, rng.integers(n_actions, size=n), rng.normal(size=n), s2, rng.random(n) < 0.5)


def rows(whole, order):
    """A Batch of those rows of another, in that order."""
    return Batch(*(column[order] for column in whole))


def table(n_states, n_actions, reward_scale=1.0, seed=0, **settings):
    rng = np.random.default_rng(seed)
    return QTable(n_states, n_actions, reward_scale, SETTINGS._replace(**settings), rng)


def network(n_states, n_actions, reward_scale=1.0, seed=0, **settings):
    """A DQN whose states are the rows of the unit matrix."""
    low, high, rng = [0.0] * n_states, [1.0] * n_states, np.random.default_rng(seed)
    return DQN(low, high, n_actions, reward_scale, SETTINGS._replace(**settings), rng)


def unit_rows(n):
    return np.eye(n, dtype=np.float32)


def finite_differences(loss, x, step=1e-6):
    """d loss() / dx for a float64 array x that the loss reads; x is changed on the way and restored."""
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        value = x[i]
        x[i] = value + step
        above = loss()
        x[i] = value - step
        gradient[i] = (above - loss()) / (2 * step)
        x[i] = value
    return gradient


def value_iteration(P, discount):
    """The optimal Q(s, a), (states, actions), of a process P[s][a] = [(probability, s', reward, terminated), ...]."""
    n_states, n_actions = len(P), len(P[0])
    rewards, moves = np.zeros((n_states, n_actions)), np.zeros((n_states, n_actions, n_states))
    for s, a in np.ndindex(rewards.shape):
        for probability, s2, reward, terminated in P[s][a]:
            rewards[s, a] += probability * reward
            moves[s, a, s2] += probability * (not terminated)
    q, change = np.zeros_like(rewards), np.inf
    while change > 1e-10:
        q, before = rewards + discount * moves @ q.max(1), q
        change = np.abs(q - before).max()
    return q


environment = cache(find_environment)


def recording(name):
    """The path of the episodes that come with the project."""
    return ROOT / "rollouts" / f"{name}.jsonl"


@cache
def recorded(name):
    """The (header, episodes) that come with the project."""
    return read_rollouts(recording(name), name, environment(name).make())


def world(name):
    """What a run needs: an Environment and the LLM's episodes in it."""
    return environment(name), recorded(name)[1]


class Doubling(gym.Env):
    """Shows its step t; pays 1, 2, 4, 8, 8, ... for action t mod 2, else nothing; ends at step `length`.

    seeds: a list that gathers those of its resets.
    """

    action_space, observation_space = gym.spaces.Discrete(2), gym.spaces.Discrete(201)

    def __init__(self, length, terminates=True, seeds=None):
        self.length, self.terminates, self.seeds = length, terminates, [] if seeds is None else seeds
        self.spec = gym.envs.registration.EnvSpec("Doubling-v0", max_episode_steps=200)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seeds += [] if seed is None else [seed]
        self.t = 0
        return 0, {}

    def step(self, action):
        reward = float(2 ** min(self.t, 3) * (action == self.t % 2))
        self.t += 1
        end = self.t == self.length
        return self.t, reward, end and self.terminates, end and not self.terminates, {}


class Reusing(gym.ObservationWrapper):
    """Writes each observation into one and the same array."""

    def observation(self, observation):
        self.array = getattr(self, "array", np.array(observation))
        self.array[...] = observation
        return self.array


def reusing(environment):
    """An Environment that writes each observation into one and the same array."""
    return environment._replace(make=lambda **options: Reusing(environment.make(**options)))


def doubling(returns, seeds=None):
    """A world whose episodes pay 7 at best, but the LLM's, of one step, these `returns`. seeds: see Doubling."""
    facts = {"evaluations": 20, "random_return": 0.0, "random_std": 0.0, "best_return": 7.0, "reward_scale": 0.1}
    toy = Environment(partial(Doubling, 3, seeds=seeds), str, ("even", "odd"), **facts)
    steps = np.array([0, 1]), np.array([0])
    return toy, [Episode(None, *steps, np.array([r]), terminated=True, truncated=False) for r in returns]


def best_return(P, start, limit):
    """The best mean return from `start` within `limit` steps, by backward induction; P: see value_iteration."""
    best = np.zeros(len(P))
    for _ in range(limit):
        best = np.array(
            [max(sum(p * (r + (not end) * best[s2]) for p, s2, r, end in P[s][a]) for a in P[s]) for s in P]
        )
    return best[start]


def documented(header):
    """The cells of the one table, in README or docs/, whose header starts so: a list a row."""
    texts = ["\n" + path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    tables = [part.partition("\n\n")[0] for text in texts for part in text.split(f"\n{header}")[1:]]
    assert len(tables) == 1, f"{len(tables)} tables start with {header}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in tables[0].splitlines()[2:]]


def python(*arguments, **options):
    """A process, which is killed after two minutes; its output is buffered as in a pipe."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": buffered} | options
    process = subprocess.Popen([sys.executable, *map(str, arguments)], **options)
    timer = threading.Timer(120, process.kill)
    timer.daemon = True
    timer.start()
    return process


def write_lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path
