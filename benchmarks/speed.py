"""How fast it is, on one thread: `python benchmarks/speed.py`. Figures are medians of several repeats.

Stable-Baselines3 (PyTorch) and SBX (JAX) are measured beside it where they are installed:
pip install stable-baselines3 sbx-rl"""

import os
import sys
import timeit
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import gymnasium as gym
import numpy as np

import terminal
from agents import make_agent
from agents.replay import ReplayBuffer
from benchmarks import recorded
from envs_text import find_environment
from episodes import transitions
from loro import METHODS, Settings, run


def seconds(action, times=1, repeats=5):
    """What one call of `action()` takes."""
    return float(np.median(timeit.repeat(action, number=times, repeat=repeats))) / times


def update(name, batch_size, **settings):
    """Seconds of an update of an environment's learner, on a batch from a buffer of recorded transitions."""
    environment, _, episodes = recorded(name)
    env, rng = environment.make(), np.random.default_rng(0)
    agent = make_agent(env, environment, Settings(1, **settings), rng)
    replay = ReplayBuffer(0, env.observation_space, transitions(episodes))
    return seconds(lambda: agent.update(replay.sample(batch_size, rng)), 30_000 // batch_size)


def theirs(module, units, batch_size, n):
    """Seconds of one of `n` gradient steps at once of another library's DQN, batches included."""
    options = {"learning_starts": 1000, "target_update_interval": 1, "policy_kwargs": {"net_arch": [units, units]}}
    model = import_module(module).DQN("MlpPolicy", gym.make("CartPole-v1"), device="cpu", **options).learn(1000)
    return seconds(lambda: model.train(n, batch_size), 400 // n) / n


def updates():
    print("microseconds an update, on a batch drawn from a buffer; 4 inputs, two hidden layers, 2 outputs")
    for units, batch_size in (64, 64), (256, 256):
        figures = {}
        for name, layer_norm in {"this project": True, "without LayerNorm, as those below": False}.items():
            figures[name] = update("CartPole-v1", batch_size, hidden=(units, units), layer_norm=layer_norm)
        for module, n in ("stable_baselines3", 1), ("sbx", 1), ("stable_baselines3", 200), ("sbx", 200):
            installed = find_spec(module)
            figures[f"{module}, {n} at a time"] = theirs(module, units, batch_size, n) if installed else None
        for name, each in figures.items():
            shown = f"{1e6 * each:>8,.0f}   {each / figures['this project']:.2f}" if each else "not installed"
            print(f"  {units:>3} units, batch {batch_size:>3}: {name:<34} {shown}")
    print(f"  the table, batch 64: {1e6 * update('FrozenLake-v1', 64):,.0f}")


def loops(evaluations=51):
    print("steps a second of the first 10,000 of `online`: with eight updates each in the first 3,000, then with one")
    settings = Settings(evaluations)
    steps = (evaluations - 1) * settings.steps_per_evaluation
    for name in "CartPole-v1", "FrozenLake-v1":
        whole_run = partial(run, find_environment(name), METHODS["online"], settings, 0)
        print(f"  {name}: {steps / seconds(whole_run, repeats=3):,.0f}")


def main():
    terminal.Parser(description="How fast it is, on one thread; some minutes.").parse_args()
    updates()
    loops()


if __name__ == "__main__":
    terminal.guard(main, "speed.py")
