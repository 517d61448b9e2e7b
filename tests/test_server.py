"""Collecting from a real server on loopback: good answers, faults, kills, keys."""

import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from chat_server import FAULTS, ChatServer
from hypothesis import given, settings
from hypothesis import strategies as st
from test_runs import ROOT, command
from urllib3 import HTTPResponse

from collect import Player, collect
from envs_text import find_environment, parse_action
from episodes import read_rollouts, write_rollouts
from llm_client import RETRY, ChatClient, ServerError

CLIFF, LAKE = find_environment("CliffWalking-v1"), find_environment("FrozenLake-v1")
AT_ONCE = RETRY.new(backoff_factor=0, backoff_jitter=0)


def path_along_the_cliff(messages):
    """The best action in CliffWalking for the observation in the prompt."""
    row, column = map(int, re.search(r"row (\d), column (\d+)\.", messages[1]["content"]).groups())
    return "0" if (row, column) == (3, 0) else "2" if column == 11 else "1"


def client(server, **options):
    return ChatClient(server.url, "small", **{"retry": AT_ONCE, "timeout": (5, 0.5), **options})


def hello(server, **options):
    return client(server, **options).ask([{"role": "user", "content": "hello"}])


def test_an_answer_and_what_it_costs():
    with ChatServer(lambda messages: f"<{messages[0]['content']}>") as server:
        one = client(server, temperature=0.5, max_tokens=9)
        assert one.ask([{"role": "user", "content": "hello"}]) == "<hello>"
        assert (one.requests, one.tokens_in, one.tokens_out) == (1, 7, 1)
        assert server.asked[0] == {
            "model": "small",
            "messages": [{"role": "user", "content": "hello"}],
            "temperature": 0.5,
            "max_tokens": 9,
        }


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_survived(fault):
    with ChatServer(fault=lambda number: fault if number < 2 else None) as server:
        assert hello(server) == "0" and len(server.asked) == 3


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(FAULTS[:-1]), max_size=8))
def test_any_schedule_of_faults_up_to_the_limit_is_survived(schedule):
    with ChatServer(fault=lambda number: schedule[number] if number < len(schedule) else None) as server:
        assert hello(server) == "0" and len(server.asked) == len(schedule) + 1


@pytest.mark.parametrize("fault", ["500", "drop", "null"])
def test_a_server_that_fails_for_good_is_given_up(fault):
    with ChatServer(fault=lambda number: fault) as server:
        with pytest.raises(ServerError) as error:
            hello(server)
        assert len(server.asked) == AT_ONCE.total + 1 and "\n" not in str(error.value)


def test_a_server_that_is_not_there_is_named():
    with ChatServer() as server:
        pass
    with pytest.raises(ServerError, match=r"127\.0\.0\.1.* cannot be reached"):
        hello(server)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("400", "one of: small, large"),
        ("401", "OPENAI_API_KEY"),
        ("403", "OPENAI_API_KEY"),
        ("404", "one of: small, large"),
    ],
)
def test_a_refusal_is_final_and_says_what_to_do(status, advice, tmp_path):
    with ChatServer(fault=lambda number: status) as server:
        done = ask(server, tmp_path, "--model", "no-such", OPENAI_API_KEY="sk-very-secret")
        assert done.returncode == 2 and advice in done.stderr and done.stderr.count("\n") == 1
        assert "sk-very-secret" not in done.stderr + done.stdout
        prompts = {str(asked["messages"]) for asked in server.asked}
        assert len(server.asked) == len(prompts)  # nobody asked again


def ask(server, folder, *arguments, env="CliffWalking-v1", **variables):
    """`loro.py --method llm` on episodes from the server, kept in `folder`."""
    return command(*arguments_for(server, folder, *arguments, env=env), **variables)


def arguments_for(server, folder, *arguments, env="CliffWalking-v1"):
    rollouts = ["--rollouts", folder / "kept.jsonl", "--out", folder / "out"]
    return ["--env", env, "--method", "llm", "--base-url", server.url, "--model", "small", *rollouts, *arguments]


def kept(folder, environment=CLIFF, env="CliffWalking-v1"):
    return read_rollouts(folder / "kept.jsonl", env, environment.make())


def test_the_command_line_collects_once_and_hides_the_key(tmp_path):
    with ChatServer(path_along_the_cliff) as server:
        done = ask(server, tmp_path, OPENAI_API_KEY="sk-very-secret")
        assert done.returncode == 0 and "10 episodes by small, mean return -13.00" in done.stdout
        assert "requests" in done.stdout and "tokens in" in done.stdout
        asked = len(server.asked)
        assert set(server.keys) == {"Bearer sk-very-secret"}
        again = ask(server, tmp_path)
        assert again.returncode == 0 and len(server.asked) == asked  # everything was there
        other = ask(server, tmp_path, "--temperature", 1)
        assert other.returncode == 2 and "another temperature" in other.stderr
    everything = done.stdout + done.stderr + "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    assert "sk-very-secret" not in everything
    header, episodes = kept(tmp_path)
    assert header["requests"] == asked and header["tokens_in"] == 7 * asked and header["tokens_out"] == asked
    assert header["system"] == CLIFF.rules and header["invalid_replies"] == 0 and header["seconds"] > 0
    assert [episode.seed for episode in episodes] == list(range(10))
    assert all(parse_action(r, CLIFF.actions) == a for e in episodes for r, a in zip(e.replies, e.actions))


def test_the_environment_names_the_server_and_a_missing_model_is_asked_for(tmp_path):
    with ChatServer(path_along_the_cliff) as server:
        arguments = [
            "--env",
            "CliffWalking-v1",
            "--method",
            "llm",
            "--rollouts",
            tmp_path / "kept.jsonl",
            "--out",
            tmp_path,
        ]
        assert command(*arguments, "--model", "small", OPENAI_BASE_URL=server.url).returncode == 0
        assert command(*arguments, "--model", "small", OPENAI_BASE_URL="").returncode == 0  # all is there already
        done = command(*arguments, "--base-url", server.url)
        assert done.returncode == 2 and "--model one of: small, large" in done.stderr
    none = ["--rollouts", tmp_path / "none.jsonl"]
    assert "give --base-url" in command(*arguments, *none, "--model", "small", OPENAI_BASE_URL="").stderr
    assert "--temperature above 0" in command(*arguments, "--base-url", server.url, "--model", "m", "--votes", 3).stderr


def test_the_key_is_in_no_repr(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with ChatServer() as server:
        one = client(server)
        assert "sk-very-secret" not in f"{one!r} {one.session!r} {one.session.auth!r} {one.session.headers!r}"


def test_equal_prompts_are_asked_once_at_temperature_0(tmp_path):
    with ChatServer(lambda messages: "1") as server:
        player = Player(client(server), LAKE)
        _, episodes = collect(player, "FrozenLake-v1", tmp_path / "lake.jsonl", 10)
        prompts = {str(asked["messages"]) for asked in server.asked}
        assert len(episodes) == 10 and len(server.asked) == len(prompts) <= 11


def test_a_bad_day(tmp_path):
    """One request in five fails, in one of nine ways, and an answer takes 50 ms."""
    rng = np.random.default_rng(0)
    faults = [rng.choice(FAULTS[:9]) if rng.random() < 0.2 else None for _ in range(2000)]
    with ChatServer(path_along_the_cliff, lambda number: faults[number], delay=0.05) as server:
        player = Player(ChatClient(server.url, "small", temperature=1.0), CLIFF)
        _, episodes = collect(player, "CliffWalking-v1", tmp_path / "cliff.jsonl", 10)
        meant = [
            [path_along_the_cliff([0, {"content": CLIFF.describe(o)}]) for o in e.observations[:-1]] for e in episodes
        ]
        actions = [a for e in episodes for a in e.actions]
        right = np.mean([int(m) == a for m, a in zip((m for ms in meant for m in ms), actions)])
        assert len(episodes) == 10 and all(e.terminated for e in episodes)
        assert right > 0.97 and server.peak >= 9
        assert sum(fault is not None for fault in faults[: len(server.asked)]) > 10
        assert server.connections < len(server.asked) / 2


def test_an_episode_is_never_asked_for_again_after_a_kill(tmp_path):
    with ChatServer(path_along_the_cliff, delay=0.02) as server:
        arguments = arguments_for(server, tmp_path, "--temperature", 1, "--concurrency", 2)
        process = subprocess.Popen([sys.executable, ROOT / "loro.py", *map(str, arguments)])
        deadline = time.monotonic() + 60
        while not (tmp_path / "kept.jsonl").exists() or len(kept(tmp_path)[1]) < 3:
            assert process.poll() is None and time.monotonic() < deadline
        process.kill()
        process.wait()
        _, before = kept(tmp_path)
        assert 3 <= len(before) < 10
        with server.lock:
            asked = len(server.asked)
        assert command(*arguments).returncode == 0
        header, after = kept(tmp_path)
        new = [episode for episode in after if episode.seed not in {b.seed for b in before}]
        assert len(after) == 10 and len(server.asked) - asked <= sum(len(e.actions) for e in new) + 2
        for old in before:
            assert old.replies == next(e.replies for e in after if e.seed == old.seed)
        assert header["requests"] >= sum(len(e.actions) for e in after)


def test_ctrl_c_stops_at_once_and_keeps_what_ended(tmp_path):
    hanging = threading.Event()

    def fault(number):
        if number < 13 * 2:
            return None
        hanging.set()
        return "gone quiet"

    with ChatServer(path_along_the_cliff, fault) as server:
        arguments = arguments_for(server, tmp_path, "--temperature", 1, "--concurrency", 1)
        process = subprocess.Popen(
            [sys.executable, ROOT / "loro.py", *map(str, arguments)], stderr=subprocess.PIPE, text=True
        )
        assert hanging.wait(30)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=4)  # less than the server would have kept it waiting
        assert process.returncode == 130 and said.count("\n") == 1 and "goes on from there" in said
    assert len(kept(tmp_path)[1]) == 2


def test_a_server_that_dies_for_good_leaves_what_ended(tmp_path):
    with ChatServer(path_along_the_cliff, lambda number: None if number < 30 else "drop") as server:
        player = Player(client(server, temperature=1.0), CLIFF)
        with pytest.raises(ServerError, match="cannot be reached"):
            collect(player, "CliffWalking-v1", tmp_path / "kept.jsonl", 10, concurrency=1)
        assert len(kept(tmp_path)[1]) == 2
        server.fault = lambda number: None
        _, episodes = collect(
            Player(client(server, temperature=1.0), CLIFF), "CliffWalking-v1", tmp_path / "kept.jsonl", 10
        )
        assert len(episodes) == 10


def test_gibberish_gives_random_play_and_a_warning(tmp_path):
    with ChatServer(lambda messages: "the the row 3") as server:
        done = ask(server, tmp_path, env="FrozenLake-v1")
        assert done.returncode == 0 and "does not understand the game" in done.stderr and done.stderr.count("\n") == 1
    header, episodes = kept(tmp_path, LAKE, "FrozenLake-v1")
    actions = np.concatenate([e.actions for e in episodes])
    assert len(episodes) == 10 and set(actions) == {0, 1, 2, 3}
    assert header["invalid_replies"] == 2 * len(actions)


@pytest.mark.parametrize(
    ("replies", "action"),
    [
        (["1", "2", "2"], 2),
        (["3", "1", "what"], 3),
        (["1", "2", "0"], 1),
        (["what", "what", "0"], 0),
        (["x", "y", "z"], None),
    ],
)
def test_the_majority_acts_and_a_tie_goes_to_the_first(replies, action):
    with ChatServer() as server:
        server.reply = lambda messages: replies[(len(server.asked) - 1) % 3]
        chosen, said = Player(client(server, temperature=1.0), LAKE, votes=3).choose("You are at row 0, column 0.")
        assert chosen == action and said == replies


def test_votes_are_kept(tmp_path):
    with ChatServer(lambda messages: "1") as server:
        assert ask(server, tmp_path, "--votes", 3, "--temperature", 1, env="FrozenLake-v1").returncode == 0
    header, episodes = kept(tmp_path, LAKE, "FrozenLake-v1")
    assert header["votes"] == 3 and episodes[0].replies[0] == ["1", "1", "1"]


@pytest.mark.parametrize("reasoning", [True, False])
@pytest.mark.parametrize(
    "message",
    [
        "<think>Is it 3? Action: 3.</think>\nAction: 1",
        {"content": "1", "reasoning_content": "Action: 3"},
        "So:\n\nAction: 1",
    ],
)
def test_a_model_that_thinks_is_understood(message, reasoning):
    lake = find_environment("FrozenLake-v1", reasoning)
    with ChatServer(lambda messages: message) as server:
        action, _ = Player(client(server), lake).choose("You are at row 0, column 0.")
        assert action == 1 and ("Action: <number>" in server.asked[0]["messages"][0]["content"]) == reasoning


def test_an_invalid_reply_is_asked_about_once_more():
    with ChatServer(lambda messages: "left" if len(messages) == 4 else "hm") as server:
        player = Player(client(server), LAKE)
        assert player.choose("You are at row 0, column 0.") == (0, ["left"])
        assert (player.replies, player.invalid_replies) == (2, 1)
        assert [m["role"] for m in server.asked[1]["messages"]] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize("url", ["localhost:11434/v1", "", "ftp://host/v1", "http://", "http://no such host/v1"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ServerError) as error:
        ChatClient(url, "small", retry=AT_ONCE).ask([])
    assert "\n" not in str(error.value)


def test_a_redirect_is_named_and_not_followed():
    with ChatServer(fault=lambda number: "302") as server:
        with pytest.raises(ServerError, match="answers 302"):
            hello(server)
        assert len(server.asked) == 1


def test_tokens_that_are_no_numbers_do_no_harm():
    with ChatServer() as server:
        one = client(server)
        server.usage = {"prompt_tokens": "7", "completion_tokens": None}
        assert one.ask([]) == "0" and (one.tokens_in, one.tokens_out) == (0, 0)
        server.usage = ["odd"]
        assert one.ask([]) == "0"


def test_what_ended_while_another_failed_is_kept(tmp_path):
    ended = threading.Event()

    class Half(Player):
        def episode(self, seed):
            if seed == 0:
                assert ended.wait(10)
                raise ServerError("gone")
            episode = super().episode(seed)
            ended.set()
            return episode

    with ChatServer(path_along_the_cliff) as server:
        with pytest.raises(ServerError, match="gone"):
            collect(Half(client(server, temperature=1.0), CLIFF), "CliffWalking-v1", tmp_path / "kept.jsonl", 2)
        assert [episode.seed for episode in kept(tmp_path)[1]] == [1]


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_asked(tmp_path):
    (tmp_path / "file").write_text("")
    with ChatServer() as server:
        done = ask(server, tmp_path, "--rollouts", tmp_path / "file" / "kept.jsonl")
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and not server.asked


def test_a_key_that_cannot_be_one_is_not_shown(tmp_path):
    with ChatServer() as server:
        done = ask(server, tmp_path, OPENAI_API_KEY="sk-very\nsecret")
        assert done.returncode == 2 and "OPENAI_API_KEY" in done.stderr and "secret" not in done.stderr


@pytest.mark.parametrize(("asked_for", "waited"), [("3600", 60), ("2", 2), (None, None)])
def test_a_server_may_ask_for_a_minute_at_most(asked_for, waited):
    response = HTTPResponse(headers={} if asked_for is None else {"Retry-After": asked_for})
    assert RETRY.get_retry_after(response) == waited


def test_a_file_without_seeds_cannot_be_gone_on_with(tmp_path):
    with ChatServer(path_along_the_cliff) as server:
        player = Player(client(server), CLIFF)
        header, episodes = collect(player, "CliffWalking-v1", tmp_path / "kept.jsonl", 2)
        write_rollouts(tmp_path / "kept.jsonl", header, [episode._replace(seed=None) for episode in episodes])
        with pytest.raises(ValueError, match="without seeds"):
            collect(player, "CliffWalking-v1", tmp_path / "kept.jsonl", 3)
