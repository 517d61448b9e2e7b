"""How fast it is: `python benchmarks/speed.py`. Each figure is the median of several repeats, on one thread."""

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np
from chat_server import ChatServer

from collect import Player, collect
from envs_text import find_environment
from llm_client import ChatClient


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
    collection()
