"""How fast it is: `python benchmarks/speed.py`. Each figure is the median of several repeats, on one thread.

Stable-Baselines3 and d3rlpy are measured beside it where they are installed: pip install stable-baselines3 d3rlpy
"""

import logging
import os
import sys
import tempfile
import time
import timeit
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np
from chat_server import ChatServer

import loro
from agents.dqn import DQN
from agents.replay import Batch
from collect import Player, collect
from envs_text import find_environment
from llm_client import ChatClient

STEPS = 5_000  # of training, with an update each and 5 greedy episodes every 200


def median(action, repeats=5, times=1):
    """Seconds that `action()` takes."""
    return float(np.median(timeit.repeat(action, number=times, repeat=repeats))) / times


def own_loop(name, layer_norm=True, batch_size=64):
    """Steps a second of `loro.run`, method online."""
    environment = find_environment(name)
    method = loro.METHODS["online"]._replace(layer_norm=layer_norm)
    settings = loro.Settings(1 + STEPS // 200, batch_size=batch_size)
    return STEPS / median(lambda: loro.run(environment, method, 0, settings), repeats=3)


def stepping_alone(name):
    """Steps a second of the environment with random actions: the floor of every learner."""
    env, actions = find_environment(name).make(), np.random.default_rng(0).integers(2, size=STEPS).tolist()

    def play():
        env.reset(seed=0)
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    return STEPS / median(play)


def update(units, batch_size):
    """Seconds of an update of a 4-units-units-2 network, and of its matrix products alone."""
    rng, sizes = np.random.default_rng(0), (4, units, units, 2)
    agent = DQN([-1] * 4, [1] * 4, 2, rng, hidden=(units, units))
    observations, next_observations = rng.uniform(-1, 1, (2, batch_size, 4)).astype(np.float32)
    actions, flags = rng.integers(2, size=batch_size), rng.random((2, batch_size)) < 0.5
    batch = Batch(observations, actions, np.ones(batch_size, np.float32), next_observations, *flags)
    both = [np.ones((2 * batch_size, n), np.float32) for n in sizes]
    one = [x[:batch_size].copy() for x in both]
    weights = [np.ones(shape, np.float32) for shape in pairwise(sizes)]

    def products():
        for k, W in enumerate(weights):
            both[k] @ W  # the online network on observations and next observations
            both[k] @ W  # and the target network
            one[k].T @ one[k + 1]  # the gradient in W
            if k:
                one[k + 1] @ W.T  # and in the layer's inputs

    times = 2_000_000 // (units * batch_size)
    return median(lambda: agent.learn(batch, 0.1), times=times), median(products, times=times)


def stable_baselines3():
    """Steps a second of Stable-Baselines3's DQN at the work of `own_loop`."""
    import torch
    from stable_baselines3 import DQN
    from stable_baselines3.common.callbacks import EvalCallback

    torch.set_num_threads(1)
    make = find_environment("CartPole-v1").make

    def train():
        model = DQN(
            "MlpPolicy", make(), learning_rate=1e-3, buffer_size=100_000, learning_starts=0, batch_size=64, tau=0.02,
            train_freq=1, gradient_steps=1, target_update_interval=1, policy_kwargs={"net_arch": [64, 64]}, seed=0,
            device="cpu",
        )  # fmt: skip
        model.learn(STEPS, EvalCallback(make(), n_eval_episodes=5, eval_freq=200, verbose=0, warn=False))

    return STEPS / median(train, repeats=3)


def d3rlpy():
    """Steps a second of d3rlpy's double DQN at the work of `own_loop`."""
    import structlog
    import torch
    from d3rlpy.algos import DoubleDQNConfig
    from d3rlpy.algos.qlearning.explorers import ConstantEpsilonGreedy
    from d3rlpy.logging import NoopAdapterFactory
    from d3rlpy.models import VectorEncoderFactory

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    torch.set_num_threads(1)
    make = find_environment("CartPole-v1").make

    def train():
        encoder = VectorEncoderFactory([64, 64])
        learner = DoubleDQNConfig(batch_size=64, learning_rate=1e-3, encoder_factory=encoder).create(device=False)
        learner.fit_online(
            make(), explorer=ConstantEpsilonGreedy(0.1), n_steps=STEPS, n_steps_per_epoch=200, eval_env=make(),
            eval_n_trials=5, save_interval=STEPS, logger_adapter=NoopAdapterFactory(), show_progress=False,
        )  # fmt: skip

    return STEPS / median(train, repeats=3)


def training():
    print(f"training, an update a step, evaluations included, over {STEPS:,} steps")
    network, plain = own_loop("CartPole-v1"), own_loop("CartPole-v1", layer_norm=False)
    print(f"  the network on CartPole, batch 64: {network:,.0f} steps a second")
    print(f"  without LayerNorm, as the two below are: {plain:,.0f} steps a second")
    for name, measure in {"Stable-Baselines3's DQN": stable_baselines3, "d3rlpy's double DQN": d3rlpy}.items():
        try:
            theirs = measure()
            print(f"  {name} on the same: {theirs:,.0f} steps a second; ours {network / theirs:.1f} times, ", end="")
            print(f"without LayerNorm {plain / theirs:.1f} times")
        except ImportError as error:
            print(f"  {name}: not installed; pip install {error.name.replace('_', '-')}")
    table = own_loop("FrozenLake-v1", batch_size=32)
    print(f"  the table on FrozenLake, batch 32: {table:,.0f} steps a second")
    print(f"  FrozenLake alone, without learner or evaluations: {stepping_alone('FrozenLake-v1'):,.0f} steps a second")
    for units, batch_size in (64, 64), (256, 256):
        seconds, floor = (1e6 * t for t in update(units, batch_size))
        print(f"  an update, {units} units, batch {batch_size}: {seconds:,.0f} microseconds", end="; ")
        print(f"its matrix products alone {floor:,.0f}: {seconds / floor:.2f} times the floor")


def collection(delay=0.05, repeats=3):
    """Ten FrozenLake episodes through the real client from a server that takes `delay` seconds an answer.

    At temperature 1 every step is a request. The time beyond the delay is client, server and environment together.
    """
    lake = find_environment("FrozenLake-v1")

    def play(concurrency, delay):
        """(seconds, steps of each episode)"""
        with ChatServer(lambda messages: "0", delay=delay) as server, tempfile.TemporaryDirectory() as folder:
            player = Player(ChatClient(server.url, "model", temperature=1.0), lake)
            started = time.perf_counter()
            _, episodes = collect(player, "FrozenLake-v1", Path(folder) / "lake.jsonl", 10, concurrency)
            return time.perf_counter() - started, np.array([len(episode.actions) for episode in episodes])

    together, alone, own = [], [], []
    for _ in range(repeats):
        together.append(play(10, delay)[0])
        seconds, steps = play(1, delay)
        alone.append(seconds)
        own.append(play(1, 0.0)[0] / steps.sum())
    together, alone, own = np.median(together), np.median(alone), np.median(own)
    longest = alone * steps.max() / steps.sum()
    print(f"collection, {delay * 1000:.0f} ms an answer, {steps.sum()} requests in ten episodes")
    print(f"  one after another {alone:.2f} s, side by side {together:.2f} s: {alone / together:.1f} times as fast")
    print(f"  side by side, over the longest episode alone: {together / longest:.2f}")
    print(f"  beyond the server's delay: {own * 1000:.2f} ms a request")


if __name__ == "__main__":
    training()
    collection()
