"""How fast it is, on one thread: `python benchmarks/speed.py`. Each figure is the median of several repeats.

Stable-Baselines3 (PyTorch) and SBX (JAX) are measured beside it where they are installed:
pip install stable-baselines3 sbx-rl
"""

import importlib
import os
import sys
import tempfile
import time
import timeit
from functools import partial
from itertools import count, islice
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import gymnasium as gym
import numpy as np
from chat_server import ChatServer

import loro
import terminal
from agents import make_agent
from agents.replay import ReplayBuffer
from collect import Player, collect
from envs_text import find_environment
from episodes import play, transitions
from llm_client import Asking, ChatClient

CART, LAKE = find_environment("CartPole-v1"), find_environment("FrozenLake-v1")
SIZES = (64, 64), (256, 256)  # units of the two hidden layers, and transitions in a batch


def seconds(action, times=1, repeats=5):
    """What one call of `action()` takes."""
    return float(np.median(timeit.repeat(action, number=times, repeat=repeats))) / times


def learner(environment, units=64, layer_norm=True):
    """An agent, and a buffer of 1,000 transitions of random play, half of them as if they were the LLM's."""
    settings = loro.Settings(evaluations=1, hidden=(units, units), layer_norm=layer_norm)
    env, rng = environment.make(), np.random.default_rng(0)
    agent = make_agent(env, environment, settings, rng)
    played = transitions(play(env, lambda observation: rng.integers(env.action_space.n), seed) for seed in count())
    replay = ReplayBuffer(10_000, env.observation_space, islice(played, 500))
    for transition in islice(played, 500):
        replay.add(*transition)
    return agent, replay, rng


def update(agent, replay, rng, batch_size):
    """Seconds of an update of `agent` on a batch from `replay`."""
    return seconds(lambda: agent.update(replay.sample(batch_size, rng)), 30_000 // batch_size)


def products(units, batch_size):
    """Seconds of the matrix products of an update alone: two forward passes, and the backward pass of one."""
    shapes = [(4, units), (units, units), (units, 2)]
    W = [np.ones(shape, np.float32) for shape in shapes]
    x = [np.ones((batch_size, n), np.float32) for n in (4, units, units, 2)]
    passes = [(x[k], W[k]) for k in range(3)] * 2 + [(x[k].T, x[k + 1]) for k in range(3)]
    passes += [(x[k + 1], W[k].T) for k in (1, 2)]
    return seconds(lambda: [a @ b for a, b in passes], 30_000 // batch_size)


def theirs(module, units, batch_size, n):
    """Seconds of one of `n` gradient steps at once of another library's DQN, batches included; None without it."""
    try:
        library = importlib.import_module(module)
    except ImportError:
        return None
    if module == "stable_baselines3":
        importlib.import_module("torch").set_num_threads(1)
    options = {"learning_starts": 1000, "target_update_interval": 1, "policy_kwargs": {"net_arch": [units, units]}}
    model = library.DQN("MlpPolicy", gym.make("CartPole-v1"), device="cpu", **options).learn(1000)
    return seconds(lambda: model.train(n, batch_size), 400 // n) / n


def updates():
    print("microseconds an update, on a batch drawn from a buffer; 4 inputs, two hidden layers, 2 outputs")
    for units, batch_size in SIZES:
        figures = {"its matrix products alone": products(units, batch_size)}
        for name, layer_norm in {"this project": True, "without LayerNorm, as those below": False}.items():
            figures[name] = update(*learner(CART, units, layer_norm), batch_size)
        for module, n in ("stable_baselines3", 1), ("sbx", 1), ("stable_baselines3", 200), ("sbx", 200):
            figures[f"{module}, {n} at a time"] = theirs(module, units, batch_size, n)
        for name, each in figures.items():
            shown = f"{1e6 * each:>8,.0f}   {each / figures['this project']:.2f}" if each else "not installed"
            print(f"  {units:>3} units, batch {batch_size:>3}: {name:<34} {shown}")
    print(f"  the table, batch 64: {1e6 * update(*learner(LAKE), 64):,.0f}")


def loops(evaluations=51):
    print("steps a second of the first 10,000 of `online`: with eight updates each in the first 3,000, then with one")
    settings = loro.Settings(evaluations)
    steps = (evaluations - 1) * settings.steps_per_evaluation
    for name, environment in {"CartPole-v1": CART, "FrozenLake-v1": LAKE}.items():
        run = partial(loro.run, environment, loro.METHODS["online"], settings, 0)
        print(f"  {name}: {steps / seconds(run, repeats=3):,.0f}")


def collection(delay=0.05):
    """Ten FrozenLake episodes through the real client from a server that takes `delay` seconds each; at temperature
    1 every step is a request, and the longest episode sets how fast all ten can be."""

    def play(concurrency):
        with ChatServer(lambda messages: time.sleep(delay) or "0") as server, tempfile.TemporaryDirectory() as folder:
            player = Player(ChatClient(Asking(server.url, "model", temperature=1.0, concurrency=concurrency)), LAKE)
            started = time.perf_counter()
            _, episodes = collect(player, "FrozenLake-v1", Path(folder) / "lake.jsonl", 10)
            return time.perf_counter() - started, [len(episode.actions) for episode in episodes]

    (alone, steps), (together, _) = play(1), play(10)
    print(f"ten episodes, {sum(steps)} requests: {alone:.1f} s one after another, {together:.1f} s side by side")
    print(f"  the requests of the longest alone: {max(steps) * delay:.1f} s")


def main():
    terminal.Parser(description="How fast it is, on one thread; some minutes.").parse_args()
    updates()
    loops()
    collection()


if __name__ == "__main__":
    terminal.guard(main, "speed.py")
