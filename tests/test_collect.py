"""Collecting from a real server on loopback: what is recorded, faults, kills, two at once, and what is refused."""

import json
import os
import queue
import re
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import pairwise
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import pytest
from chat_server import FAULTS, ChatServer, Handler, client
from helpers import ROOT, environment, python, recorded, recording

import collect
from collect import Player
from envs_text import find_environment
from episodes import play, read_rollouts, write_rollouts
from files import UserError
from llm_client import FILTERED, Asking
from replies import parse_action

CLIFF, LAKE = environment("CliffWalking-v1"), environment("FrozenLake-v1")
CAR = environment("MountainCar-v0")._replace(make=lambda: gym.make("MountainCar-v0", max_episode_steps=5))
START = "You are at row 0, column 0."
STEPS = 13  # of an episode along the cliff


def path_along_the_cliff(messages):
    """The best action in CliffWalking for the observation in the prompt."""
    row, column = map(int, re.findall(r"row (\d), column (\d+)\.", messages[0]["content"])[-1])
    return "0" if (row, column) == (3, 0) else "2" if column == 11 else "1"


def player(server, environment=CLIFF, votes=1, temperature=1.0, **options):
    return Player(client(server, temperature=temperature, votes=votes, **options), environment)


def collected(player, folder, n=10, env="CliffWalking-v1"):
    """(header, episodes) of `collect`, kept in `folder`."""
    return collect.collect(player, env, folder / "kept.jsonl", n)


def kept(folder, env="CliffWalking-v1"):
    return read_rollouts(folder / "kept.jsonl", env, environment(env).make())


def seeds(episodes):
    return [episode.seed for episode in episodes]


@pytest.fixture
def executors(monkeypatch):
    """The thread pools that `collect` makes: to wait for their threads."""
    made = []

    class Watched(ThreadPoolExecutor):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(collect.futures, "ThreadPoolExecutor", Watched)
    return made


# What is recorded


def test_episodes_are_recorded_as_they_were_played(tmp_path):
    with ChatServer(path_along_the_cliff) as server:
        header, episodes = collected(player(server), tmp_path)
    assert seeds(episodes) == list(range(10)) and all(len(episode.actions) == STEPS for episode in episodes)
    assert all(parse_action(r, CLIFF.actions) == a for e in episodes for r, a in zip(e.replies, e.actions))
    assert header | {"env": "CliffWalking-v1", "model": "small", "rules": CLIFF.rules, "votes": 1} == header
    assert header | {"temperature": 1.0, "extra": None} == header and date.fromisoformat(header["recorded"])
    requests = 10 * STEPS
    assert header["request"] == {"model": "small", "temperature": 1.0, "max_tokens": 64}
    costs = {"requests": requests, "tokens_in": 7 * requests, "tokens_out": requests, "invalid_replies": 0}
    assert header | costs == header and header["seconds"] >= 0
    assert kept(tmp_path)[0] == header | {"format": "loro-rollouts-1", "episodes": 10}


def test_an_episode_is_recorded_under_the_seed_it_was_played_with(tmp_path):
    with ChatServer(lambda messages: "2") as server:
        _, episodes = collected(player(server, CAR, temperature=0), tmp_path, 4, "MountainCar-v0")
    for seed, episode in enumerate(episodes):
        again = play(CAR.make(), lambda observation: 2, seed)
        assert episode.seed == seed
        np.testing.assert_array_equal(episode.observations, again.observations)
    assert len({float(episode.observations[0, 0]) for episode in episodes}) == 4


def test_each_prompt_is_the_rules_and_one_sentence(tmp_path):
    with ChatServer(path_along_the_cliff) as server:
        _, (episode,) = collected(player(server), tmp_path, 1)
        assert [asked["messages"] for asked in server.asked] == [
            [{"role": "user", "content": f"{CLIFF.rules}\n\n{CLIFF.describe(observation)}"}]
            for observation in episode.observations[:-1]
        ]


def test_episodes_are_played_side_by_side(tmp_path):
    def fault(number):
        if number < 10:
            ten.wait(60)

    ten = threading.Barrier(10)
    with ChatServer(path_along_the_cliff, fault) as server:
        assert len(collected(player(server), tmp_path)[1]) == 10 and not ten.broken
        assert server.connections == 10  # each of them used all along


def test_equal_prompts_are_asked_once_at_temperature_0(tmp_path):
    with ChatServer(lambda messages: "1") as server:
        _, episodes = collected(player(server, LAKE, temperature=0), tmp_path, 10, "FrozenLake-v1")
        prompts = {str(asked["messages"]) for asked in server.asked}
        assert len(episodes) == 10 and len(server.asked) == len(prompts) <= 11


# Replies


@pytest.mark.parametrize("reasoning", [True, False])
@pytest.mark.parametrize("message", [
    "<think>Is it 3? Action: 3.</think>\nAction: 1",
    {"content": "1", "reasoning_content": "Action: 3"},
    "So:\n\nAction: 1",
])  # fmt: skip
def test_a_model_that_thinks_is_understood(message, reasoning):
    with ChatServer(lambda messages: message) as server:
        action, _ = player(server, find_environment("FrozenLake-v1", reasoning)).choose(START)
        assert action == 1 and ("Action: <number>" in server.asked[0]["messages"][0]["content"]) == reasoning


def test_an_invalid_reply_is_asked_about_once_more():
    with ChatServer(lambda messages: "left" if len(messages) == 3 else "hm") as server:
        one = player(server, LAKE)
        assert one.choose(START) == (0, ["left"]) and (len(one.replies), one.invalid) == (2, ["hm"])
        assert [message["role"] for message in server.asked[1]["messages"]] == ["user", "assistant", "user"]


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
        one = player(server, LAKE, votes=3)
        one.voters = ThreadPoolExecutor(1)  # one after another
        assert one.choose(START) == (action, replies)


def test_votes_are_kept(tmp_path):
    with ChatServer(lambda messages: "1") as server:
        header, (episode,) = collected(player(server, LAKE, votes=3), tmp_path, 1, "FrozenLake-v1")
    assert header["votes"] == 3 and episode.replies == [["1", "1", "1"]] * len(episode.actions)
    assert kept(tmp_path, "FrozenLake-v1")[1][0].replies == episode.replies


class Kind(NamedTuple):
    """A kind of server: how it says an action, what it refuses, and which requests fail."""

    say: Callable[[str], str | dict] = str
    refuse: Callable[[dict], tuple[int, str] | None] = lambda body: None
    fault: Callable[[int], str | None] = lambda number: None


def refuse_system(body):
    if any(message["role"] == "system" for message in body["messages"]):
        return 500, "System role not supported"
    roles = [message["role"] for message in body["messages"]]
    return None if roles == ["user", "assistant", "user"][: len(roles)] else (400, "Conversation roles must alternate")


KINDS = {
    "plain": Kind(),
    "new names": Kind(refuse=lambda body: "max_tokens" in body and (400, "Use 'max_completion_tokens' instead.")),
    "no temperature": Kind(refuse=lambda body: "temperature" in body and (400, "`temperature` is deprecated.")),
    "no system role": Kind(refuse=refuse_system),
    "parts": Kind(lambda a: {"content": [{"type": "thinking", "thinking": "0"}, {"type": "text", "text": a}]}),
    "reasoning field": Kind(lambda a: {"content": None, "reasoning_content": f"0 is bad.\nAction: {a}"}),
    "harmony": Kind(lambda a: f"<|channel|>analysis<|message|>Not 0.<|end|><|channel|>final<|message|>{a}<|return|>"),
    "errors in 200": Kind(fault=lambda number: None if number % 3 else "an error"),
    "JSON": Kind(lambda a: json.dumps({"reason": "left is a hole", "action": int(a)})),
}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_of_each_kind_plays_as_it_means_to(tmp_path, kind, temperature):
    """Each step's action is told by the sum of row, column and a number, so that all four occur."""
    say, refuse, fault = KINDS[kind]

    def meant(sentence):
        return sum(map(int, re.findall(r"\d+", sentence))) * 3 % 4

    with ChatServer(lambda messages: say(str(meant(messages[0]["content"].rpartition("\n\n")[2]))), fault) as server:
        server.refuse = refuse
        header, episodes = collected(player(server, LAKE, temperature=temperature), tmp_path, 10, "FrozenLake-v1")
    assert seeds(episodes) == list(range(10)) and header["invalid_replies"] == 0
    for episode in episodes:
        said = [meant(LAKE.describe(observation)) for observation in episode.observations[:-1]]
        np.testing.assert_array_equal(episode.actions, said)


def test_a_server_that_repeats_its_prompt_never_acts(tmp_path):
    with ChatServer(lambda messages: messages[-1]["content"]) as server:
        for name in ("FrozenLake-v1", "MountainCar-v0"):
            one = player(server, CAR if name == "MountainCar-v0" else LAKE, temperature=0)
            header, _ = collect.collect(one, name, tmp_path / name, 3)
            assert header["invalid_replies"] == len(one.replies) == header["requests"] > 0


def test_where_all_replies_are_cut_off_the_work_ends_before_more_is_paid_for(tmp_path):
    car, path = environment("MountainCar-v0"), tmp_path / "kept.jsonl"
    with ChatServer(lambda messages: "I think") as server:
        server.finish_reason = "length"
        with pytest.raises(UserError, match="name no action, all are cut off; give more --max-tokens, and another"):
            collect.collect(player(server, car, temperature=0), "MountainCar-v0", path, 1)
        assert 20 <= len(server.asked) < 40  # of 400
        one = player(server, car, temperature=0)
        one.replies.append("0")  # one that is whole is enough
        collect.collect(one, "MountainCar-v0", path, 1)
        server.reply = lambda messages: "2<|im_end|>\nYou are"  # so are actions before what is cut off
        header, _ = collect.collect(player(server, car, temperature=0), "MountainCar-v0", tmp_path / "more.jsonl", 1)
        assert header["invalid_replies"] == 0 < 20 < header["requests"]


def test_a_reply_that_was_cut_off_ends_nothing(tmp_path):
    with ChatServer(lambda messages: "Action: 1 would") as server:
        server.finish_reason, one = "length", player(server, LAKE, max_tokens=9)
        header, (episode,) = collected(one, tmp_path, 1, "FrozenLake-v1")
        assert episode.replies == ["Action: 1 would [cut off]"] * len(episode.actions)
        assert header["invalid_replies"] == 2 * len(episode.actions)
        server.finish_reason, server.reply = "stop", lambda messages: "1"
        header, (_, episode) = collected(player(server, LAKE, max_tokens=9), tmp_path, 2, "FrozenLake-v1")
        assert set(episode.replies) == {"1"} and header["max_tokens"] == 9


def test_what_is_not_described_in_words_is_asked_of_nobody():
    with ChatServer() as server:
        with pytest.raises(UserError, match="it describes an observation as None, not in words"):
            player(server, LAKE._replace(describe=lambda s: None)).episode(0)
        assert not server.asked


def test_a_prompt_that_a_content_filter_refuses_ends_nothing(tmp_path):
    filtered = {"message": "The response was filtered.", "code": "content_filter"}
    with ChatServer(path_along_the_cliff) as server:
        server.refuse = lambda body: "row 2, column 4." in body["messages"][0]["content"] and (400, filtered)
        header, episodes = collected(player(server, temperature=0), tmp_path, 3)
    assert header["invalid_replies"] == 2 and seeds(episodes) == [0, 1, 2]
    assert all(set(each.replies) == {"0", "1", "2", FILTERED} for each in episodes)


def test_votes_are_asked_for_side_by_side():
    def fault(number):
        all_three.wait(60)

    all_three = threading.Barrier(3)
    with ChatServer(lambda messages: "1", fault) as server:
        assert player(server, LAKE, votes=3, concurrency=1).choose(START) == (1, ["1"] * 3) and server.peak == 3


class Gibberish:
    """A client whose model understands nothing."""

    asking, repeatable = Asking(), False

    def ask(self, messages):
        return "the the row 3"


def test_gibberish_gives_random_play():
    one = Player(Gibberish(), LAKE)
    actions = np.concatenate([one.episode(seed).actions for seed in range(10)])
    assert set(actions) == {0, 1, 2, 3} and len(one.invalid) == len(one.replies) == 2 * len(actions)
    np.testing.assert_array_equal(one.episode(3).actions, Player(Gibberish(), LAKE).episode(3).actions)


def test_random_play_has_nothing_to_do_with_an_episodes_start():
    one, env = Player(Gibberish(), CAR), CAR.make()
    starts = [env.reset(seed=seed)[0][0] for seed in range(60)]
    actions = np.array([one.episode(seed).actions for seed in range(60)])
    assert max(abs(np.corrcoef(starts, each)[0, 1]) for each in actions.T) < 0.4  # by chance 0.13


# Faults


def test_a_bad_day(tmp_path):
    """One request in five fails, in one of nine ways, while ten episodes are played side by side."""

    def fault(number):
        if number < 10:
            ten.wait(60)
        return faults[number]

    rng, ten = np.random.default_rng(0), threading.Barrier(10)
    ways = np.array(FAULTS)[[0, 1, 3, 4, 5, 6, 8, 10, 11]]
    faults = [rng.choice(ways) if rng.random() < 0.2 else None for _ in range(2000)]
    with ChatServer(path_along_the_cliff, fault) as server:
        header, episodes = collected(player(server), tmp_path)
        assert len(episodes) == 10 and all(len(episode.actions) == STEPS for episode in episodes)
        assert sum(fault is not None for fault in faults[: len(server.asked)]) > 10 and server.peak >= 9
        assert 10 * STEPS < header["requests"] <= len(server.asked) and server.connections < len(server.asked) / 2


def test_a_player_recovers_from_a_failure():
    with ChatServer(lambda messages: "1", lambda number: None if number else "401") as server:
        one = player(server, LAKE, temperature=0)
        with pytest.raises(UserError):
            one.choose(START)
        assert one.choose(START) == one.choose(START) == (1, ["1"]) and len(server.asked) == 2


def test_a_server_that_dies_for_good_leaves_what_ended(tmp_path, executors):
    with ChatServer(path_along_the_cliff, lambda number: None if number < 30 else "drop") as server:
        with pytest.raises(UserError, match="cannot be reached"):
            collected(player(server, concurrency=1), tmp_path)
        executors[0].shutdown(wait=True)
        assert seeds(kept(tmp_path)[1]) == [0, 1]
        server.fault = lambda number: None
        asked = len(server.asked)
        header, after = collected(player(server), tmp_path)
        assert seeds(after) == list(range(10)) and len(server.asked) - asked == 8 * STEPS
        assert header["requests"] >= 10 * STEPS  # those of both calls


def test_what_ended_while_another_failed_is_kept(tmp_path):
    ended = threading.Event()

    class Half(Player):
        def episode(self, seed):
            if seed == 0:
                assert ended.wait(60)
                raise UserError("gone")
            episode = super().episode(seed)
            ended.set()
            return episode

    with ChatServer(path_along_the_cliff) as server:
        with pytest.raises(UserError, match="gone"):
            collected(Half(client(server), CLIFF), tmp_path, 2)
        assert seeds(kept(tmp_path)[1]) == [1]
        assert seeds(collected(player(server, temperature=0), tmp_path, 2)[1]) == [0, 1]  # what it lacks


def test_after_a_failure_nobody_asks_again(tmp_path, executors):
    def fault(number):
        three.wait(60)
        if number == 0:
            return "401"
        failed.wait(60)

    three, failed = threading.Barrier(3), threading.Event()
    with ChatServer(path_along_the_cliff, fault) as server:
        with pytest.raises(UserError):
            collected(player(server), tmp_path, 3)
        failed.set()  # only now are the other two answered
        executors[1].shutdown(wait=True)  # those who play; the other pool asks for them
        assert len(server.asked) == 3


def test_one_player_may_collect_again_and_each_request_is_paid_for_once(tmp_path):
    with ChatServer(path_along_the_cliff) as server:
        one = player(server)
        collected(one, tmp_path, 1)
        header, episodes = collected(one, tmp_path, 3)
        assert seeds(episodes) == [0, 1, 2] and header["requests"] == len(server.asked) == 3 * STEPS


def test_what_is_there_need_not_be_that_of_the_first_seeds(tmp_path):
    with ChatServer(path_along_the_cliff) as server:
        collected(player(server), tmp_path, 3)
        header, episodes = kept(tmp_path)
        write_rollouts(tmp_path / "kept.jsonl", header, episodes[2:])
        assert seeds(collected(player(server), tmp_path, 1)[1]) == [2] and len(server.asked) == 3 * STEPS
        assert seeds(collected(player(server), tmp_path, 2)[1]) == [0, 2]


def test_two_who_collect_into_one_file_lose_no_episode(tmp_path):
    def slow(messages):
        asked.set()
        assert others_done.wait(60)
        return path_along_the_cliff(messages)

    asked, others_done = threading.Event(), threading.Event()
    with ChatServer(slow) as server, ChatServer(path_along_the_cliff) as other:
        late = threading.Thread(target=collected, args=(player(server), tmp_path, 1))
        late.start()
        assert asked.wait(60)
        collected(player(other), tmp_path)
        others_done.set()
        late.join(60)
    assert seeds(kept(tmp_path)[1]) == list(range(10))


def test_an_episode_that_another_has_kept_meanwhile_stays_as_it_is(tmp_path):
    class Late(Player):
        def episode(self, seed):
            with ChatServer(lambda messages: "1") as other:  # over the cliff
                collected(player(other), tmp_path, 1)
            return super().episode(seed)

    with ChatServer(path_along_the_cliff) as server:
        _, (episode,) = collected(Late(client(server, temperature=1.0), CLIFF), tmp_path, 1)
    assert set(episode.actions) == {1} and set(kept(tmp_path)[1][0].actions) == {1}


def test_what_another_overwrites_is_written_again(tmp_path):
    def overwrite(text, log):
        if path.exists():
            path.unlink()

    path, n = tmp_path / "kept.jsonl", 4
    with ChatServer(path_along_the_cliff) as server:
        collect.collect(player(server, concurrency=1), "CliffWalking-v1", path, n, overwrite)
        assert seeds(read_rollouts(path, "CliffWalking-v1", CLIFF.make())[1]) == list(range(n))
        assert len(server.asked) == n * STEPS


# Stopping and going on


@pytest.fixture
def stopped_after_two(tmp_path):
    """(process, server): loro.py, whose server keeps it waiting once it has played and kept two episodes."""

    def fault(number):
        if number >= 2 * STEPS:
            waiting.set()
            ended.wait(300)

    waiting, ended = threading.Event(), threading.Event()
    with ChatServer(path_along_the_cliff, fault) as server:
        process = python(ROOT / "loro.py", *arguments_for(server, tmp_path))
        try:
            assert waiting.wait(120)
            deadline, path = time.monotonic() + 120, tmp_path / "kept.jsonl"
            while not (path.exists() and len(kept(tmp_path)[1]) == 2):  # the third is asked for while it is written
                assert time.monotonic() < deadline
            yield process, server
        finally:
            process.kill()
            process.communicate()
            ended.set()


def arguments_for(server, folder):
    """One episode after another, of prompts that are never taken for equal."""
    rollouts = ["--rollouts", folder / "kept.jsonl", "--out", folder / "out"]
    options = ["--temperature", "1", "--concurrency", "1", *map(str, rollouts)]
    return ["--env", "CliffWalking-v1", "--method", "llm", "--base-url", server.url, "--model", "small", *options]


def test_an_episode_is_never_asked_for_again_after_a_kill(tmp_path, stopped_after_two):
    process, server = stopped_after_two
    process.kill()
    process.communicate()
    _, before = kept(tmp_path)
    server.fault = lambda number: None
    asked = len(server.asked)
    header, after = collected(player(server), tmp_path)
    assert seeds(before) == [0, 1] and seeds(after) == list(range(10))
    assert [episode.replies for episode in after[:2]] == [episode.replies for episode in before]
    assert len(server.asked) - asked == 8 * STEPS and header["requests"] == 10 * STEPS


def test_ctrl_c_does_not_wait_for_the_server_and_keeps_what_ended(tmp_path, stopped_after_two):
    process, _ = stopped_after_two
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGINT
    assert said.splitlines()[-1] == "loro.py: stopped; what is finished is kept"
    assert "Traceback" not in said and seeds(kept(tmp_path)[1]) == [0, 1]


def test_progress_is_told(tmp_path):
    told = []
    with ChatServer(path_along_the_cliff) as server:
        one, path = player(server, concurrency=1), tmp_path / "kept.jsonl"
        collect.collect(one, "CliffWalking-v1", path, 3, lambda text, log=False: told.append((text, log)))
    ended = [int(re.match(r"(\d) of 3 episodes, 0 of \d+ replies invalid$", text)[1]) for text, _ in told]
    assert ended[0] == 0 and ended == sorted(ended)
    assert [log for _, log in told] == [False, *(after > before for before, after in pairwise(ended))]  # news alone


def test_a_log_tells_of_each_problem_once(tmp_path):
    told, logged = queue.Queue(), []

    class Troubled(Player):
        def episode(self, seed):
            for problem in ("fails", "is busy", "fails", "is gone"):
                self.client.problem = problem
                while f"it {problem}" not in told.get(timeout=60):
                    pass
            return super().episode(seed)

    def progress(text, log):
        told.put(text)
        logged.extend([text.partition("asking again: ")[2]] * log)

    with ChatServer(path_along_the_cliff) as server:
        collect.collect(Troubled(client(server), CLIFF), "CliffWalking-v1", tmp_path / "kept.jsonl", 1, progress)
    assert logged == ["it fails", "it is busy", "it is gone"]


def test_the_news_begins_with_what_matters():
    with ChatServer(lambda messages: "hm") as server:
        one = player(server, LAKE, temperature=0, concurrency=1)
        assert collect.news(one) == "0 of 0 replies invalid"
        one.choose(START)
        assert collect.news(one) == "2 of 2 replies invalid, such as 'hm'"
        one.client.heard -= 42
        assert collect.news(one) == "2 of 2 replies invalid, nothing heard for 42 s, such as 'hm'"
        one.invalid[-1] = "So, first of all [cut off]"
        assert "cut off by --max-tokens, such as 'So, first" in collect.news(one)
        ten = player(server, LAKE, temperature=0, concurrency=10)
        ten.choose(START)
        assert collect.news(ten) == "2 of 2 replies invalid"  # of ten that play, one may well begin badly
        one.invalid[-1], one.client.problem = "hm", "answers 503: Loading model"
        assert collect.news(one) == "asking again: it answers 503: Loading model"


def test_what_a_server_does_not_count_is_unknown(tmp_path, capsys):
    with ChatServer(path_along_the_cliff) as server:
        server.usage = None
        collect.collect_and_tell(player(server, temperature=0), "CliffWalking-v1", tmp_path / "kept.jsonl", 1)
    counts = rf"{STEPS} requests, unknown tokens in, unknown tokens out, 0 invalid replies, \d+ seconds\n"
    assert re.fullmatch(counts, capsys.readouterr().out)


def test_no_empty_message_is_sent_to_a_server_that_refuses_one(tmp_path):
    def strict(body):
        return None if all(message["content"] for message in body["messages"]) else (400, "content must be non-empty")

    with ChatServer(lambda messages: "" if len(messages) == 1 else "1") as server:
        server.refuse = strict
        assert player(server, LAKE).choose(START) == (1, ["1"])


# A file that is there


def test_a_whole_file_is_not_asked_for_again_and_need_not_be_written(tmp_path, monkeypatch):
    def read_only(path):
        raise PermissionError(13, "Permission denied", str(path))

    with ChatServer(path_along_the_cliff) as server:
        collected(player(server), tmp_path, 2)
        monkeypatch.setattr(collect, "check_writable", read_only)
        asked, before = len(server.asked), (tmp_path / "kept.jsonl").read_bytes()
        for n in (1, 2):
            assert seeds(collected(player(server), tmp_path, n)[1]) == [0, 1]
        with pytest.raises(PermissionError):
            collected(player(server), tmp_path, 3)
        assert len(server.asked) == asked and (tmp_path / "kept.jsonl").read_bytes() == before


@pytest.mark.parametrize("name", ["file/kept.jsonl", "x" * 256 + ".jsonl"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_asked(tmp_path, name):
    (tmp_path / "file").write_text("in the way")
    with ChatServer() as server:
        with pytest.raises(OSError, match=r"file|long"):
            collect.collect(player(server), "CliffWalking-v1", tmp_path / name, 1)
        assert not server.asked


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "kept.jsonl")
    with ChatServer() as server, pytest.raises(UserError, match="there is no file"):
        collected(player(server), tmp_path)


@pytest.mark.parametrize(
    ("changes", "unlike"),
    [
        ({"model": "large"}, "another model"),
        ({"rules": "other rules", "votes": 3}, r"another rules \(by --reasoning, for one\), votes"),
        ({"votes": 3}, "another votes"),
        ({"temperature": 0.5}, "another temperature"),
        ({"extra": {"seed": 1}}, "another extra"),
        ({"max_tokens": 9}, "another max_tokens"),
        ({"model": "large", "votes": 3}, "another model, votes"),
        ({"env": "FrozenLake-v1"}, "FrozenLake-v1"),
    ],
)
def test_a_file_made_otherwise_cannot_be_gone_on_with(tmp_path, changes, unlike):
    with ChatServer(path_along_the_cliff) as server:
        header, episodes = collected(player(server), tmp_path, 1)
        write_rollouts(tmp_path / "kept.jsonl", header | changes, episodes)
        asked = len(server.asked)
        with pytest.raises(UserError, match=rf"kept\.jsonl.* {unlike}.*give (--rollouts )?another"):
            collected(player(server), tmp_path, 2)
        assert len(server.asked) == asked


def test_a_file_that_does_not_tell_of_max_tokens_is_gone_on_with(tmp_path):
    with ChatServer(path_along_the_cliff) as server:
        header, episodes = collected(player(server), tmp_path, 1)
        del header["max_tokens"]  # as in older files, which say it in `request`
        write_rollouts(tmp_path / "kept.jsonl", header, episodes)
        with pytest.raises(UserError, match="another max_tokens; give --rollouts another file"):
            collected(player(server, max_tokens=99), tmp_path, 2)
        header, episodes = collected(player(server), tmp_path, 2)
        assert header["max_tokens"] == 64 and len(episodes) == 2


def test_what_is_sent_from_now_on_does_not_change_what_is_being_written(tmp_path, monkeypatch):
    def written(path, header, episodes):
        playing.client.body.clear()  # as if the server had just refused it all
        write_rollouts(path, header, episodes)

    monkeypatch.setattr("collect.write_rollouts", written)
    with ChatServer(path_along_the_cliff) as server:
        playing = player(server)
        header, _ = collected(playing, tmp_path, 1)
    assert header["request"]["max_tokens"] and kept(tmp_path)[0]["request"] == header["request"]


# The command line

ONE = ["--env", "CliffWalking-v1", "--method", "llm", "--out", "out"]
KEY = "sk-very-secret"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory."""
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_line_collects_once_and_hides_the_key(folder, command, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer(path_along_the_cliff) as server:
        ask = [*ONE, "--base-url", server.url, "--model", "small"]
        first = command(*ask)
        assert "10 episodes by small, mean return -13.00 (rollouts/CliffWalking-v1-small.jsonl)" in first.out
        requests = len(server.asked)  # equal prompts once
        assert f"{requests} requests, {7 * requests} tokens in, {requests} tokens out, 0 invalid replies" in first.out
        assert requests == STEPS and set(server.keys) == {f"Bearer {KEY}"}
        again = command(*ask)
        assert len(server.asked) == requests and "10 episodes by small" in again.out
        assert " requests" not in again.out and "The episodes are there, so nothing was asked." in again.out
        with pytest.raises(UserError, match="another temperature"):
            command(*ask, "--temperature", 1)
    written = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    assert len(written) == 2 and KEY not in "".join([*first, *again, *written])


def test_a_run_that_cannot_be_kept_is_refused_before_anything_is_asked(folder, command):
    (folder / "out").write_text("in the way")
    with ChatServer() as server:
        with pytest.raises(OSError, match="out"):
            command(*ONE, "--base-url", server.url, "--model", "small")
        assert not server.asked


def test_a_budget_that_is_too_small_is_refused_before_anything_is_asked(folder, command):
    with ChatServer() as server:
        with pytest.raises(UserError, match="leaves none"):
            command(*ONE, "--method", "loro", "--evaluations", 3, "--base-url", server.url, "--model", "small")
        assert not server.asked


def test_a_result_that_was_made_otherwise_is_refused_before_anything_is_asked(folder, command):
    with ChatServer(path_along_the_cliff) as server:
        ask = [*ONE, "--base-url", server.url, "--model", "small"]
        command(*ask)
        asked = len(server.asked)
        for more in (["--discount", "0.9"], ["--evaluations", "50"]):
            with pytest.raises(UserError, match="made with"):
                command(*ask, *more, "--rollouts", "another.jsonl", "--resume")
        assert len(server.asked) == asked and not (folder / "another.jsonl").exists()


def test_a_result_of_another_model_is_refused_before_this_one_is_asked(folder, command):
    with ChatServer(path_along_the_cliff) as server:
        command(*ONE)
        with pytest.raises(UserError, match=r"made with .*model Claude, not small"):
            command(*ONE, "--base-url", server.url, "--model", "small", "--resume")
        assert not server.asked


def test_another_ten_episodes_make_another_result(folder, command):
    with ChatServer(path_along_the_cliff) as server:
        ask = [*ONE, "--base-url", server.url, "--model", "small"]
        command(*ask)
        server.reply = lambda messages: "0"
        with pytest.raises(UserError, match="made with episodes"):
            command(*ask, "--rollouts", "another.jsonl", "--resume")


def test_what_a_model_wants_beside_is_kept(folder, command):
    with ChatServer(path_along_the_cliff) as server:
        ask = [*ONE, "--base-url", server.url, "--model", "small"]
        command(*ask, "--extra", '{"reasoning_effort": "low"}')
        assert server.asked[0]["reasoning_effort"] == "low" and server.asked[0]["max_tokens"] == 64
        header = json.loads((folder / "rollouts/CliffWalking-v1-small.jsonl").read_text().splitlines()[0])
        assert header["extra"] == {"reasoning_effort": "low"} and header["request"]["reasoning_effort"] == "low"
        with pytest.raises(UserError, match="another extra"):
            command(*ask)


def test_reasons_take_more_tokens(folder, command):
    with ChatServer(path_along_the_cliff) as server:
        command(*ONE, "--base-url", server.url, "--model", "small", "--reasoning")
        assert server.asked[0]["max_tokens"] == 2048


def test_new_episodes_go_to_the_working_directory(folder, command):
    with ChatServer(path_along_the_cliff) as server:
        command(*ONE, "--base-url", server.url, "--model", "org/a model:7b")
    assert [path.name for path in (folder / "rollouts").iterdir()] == ["CliffWalking-v1-org-a-model-7b.jsonl"]
    assert json.loads((folder / "out/CliffWalking-v1/llm-0.json").read_text())["model"] == "org/a model:7b"


def test_the_environment_names_the_server(folder, command, monkeypatch):
    with ChatServer(path_along_the_cliff) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        command(*ONE, "--model", "small", "--llm-episodes", 1)
        assert len(server.asked) == STEPS


def test_a_file_outside_the_working_directory_is_shown_whole(folder, command, monkeypatch):
    (folder / "elsewhere").mkdir()
    _, episodes = read_rollouts(ROOT / "rollouts/FrozenLake-v1.jsonl", "FrozenLake-v1", LAKE.make())
    path = folder / "episodes.jsonl"
    write_rollouts(path, {"env": "FrozenLake-v1"}, episodes)
    monkeypatch.chdir(folder / "elsewhere")
    said = command("--env", "FrozenLake-v1", "--method", "llm", "--rollouts", path).out
    assert f"10 episodes by an unnamed player, mean return 0.70 ({path})" in said
    assert json.loads((folder / "elsewhere/results/FrozenLake-v1/llm-0.json").read_text())["model"] is None


def test_without_a_model_the_server_is_asked_for_its_models(folder, command, monkeypatch):
    with ChatServer() as server, pytest.raises(UserError, match="give --model one of: small, large"):
        command(*ONE, "--base-url", server.url)
    monkeypatch.setattr(Handler, "do_GET", lambda self: self.send(200, "{}"))
    with ChatServer() as server, pytest.raises(UserError, match=r"give --model one of: \(none found; does its URL end"):
        command(*ONE, "--base-url", server.url.removesuffix("/v1"))


def test_without_a_server_one_is_wanted(folder, command):
    with pytest.raises(UserError, match="give --base-url"):
        command(*ONE, "--model", "small")


def test_a_whole_file_needs_no_server(folder, command):
    with ChatServer(path_along_the_cliff) as server:
        command(*ONE, "--base-url", server.url, "--model", "small", "--rollouts", "kept.jsonl")
    assert "10 episodes by small" in command(*ONE, "--model", "small", "--rollouts", "kept.jsonl").out
    assert "10 episodes by small" in command(*ONE, "--rollouts", "kept.jsonl").out


@pytest.mark.parametrize("extra", ['{"temperature": 0}', '{"seed": 1}', None])
def test_votes_need_a_temperature_and_no_seed(folder, command, extra):
    wanted = ["--temperature", 1, "--extra", extra] if extra else []
    with pytest.raises(UserError, match="--temperature above 0"):
        command(*ONE, "--base-url", "http://127.0.0.1:1/v1", "--model", "small", "--votes", 3, *wanted)


def test_a_failure_says_that_the_same_command_goes_on(folder, command):
    with ChatServer(path_along_the_cliff, lambda number: None if number < 2 * STEPS else "401") as server:
        ask = [*ONE, "--base-url", server.url, "--model", "small", "--temperature", 1, "--concurrency", 1]
        with pytest.raises(UserError, match=r"OPENAI_API_KEY.*kept in rollouts/CliffWalking-v1-small\.jsonl, "):
            command(*ask)
        with pytest.raises(UserError, match=r"give --base-url a URL") as error:  # that command does not go on
            command(*ONE, "--model", "small", "--temperature", 1)
        assert "goes on" not in str(error.value)
        server.fault = lambda number: None
        assert "10 episodes by small" in command(*ask).out


def test_a_failure_before_the_first_episode_says_no_such_thing(folder, command):
    with ChatServer(fault=lambda number: "401") as server, pytest.raises(UserError) as error:
        command(*ONE, "--base-url", server.url, "--model", "small")
    assert "goes on" not in str(error.value)


def test_a_model_that_seldom_misunderstands_is_not_warned_of(folder, command):
    answers = iter(["hm", "hm"])
    with ChatServer(lambda messages: next(answers, "0")) as server:
        lake = ["--env", "FrozenLake-v1", "--method", "llm", "--base-url", server.url, "--model", "small"]
        err = command(*lake, "--temperature", 1, "--concurrency", 1).err
        assert "warning" not in err and next(answers, None) is None


@pytest.mark.parametrize(("votes", "warned"), [(["hm", "0", "hm"], False), (["hm", "hm", "hm"], True)])
def test_an_action_is_random_only_where_no_vote_names_one(votes, warned):
    episode = recorded("FrozenLake-v1")[1][0]
    said = episode._replace(replies=[votes] * len(episode.actions))
    doubts = list(collect.doubts(LAKE, [said], 200))
    assert ["names no action" in doubt for doubt in doubts] == [True] * warned


@pytest.mark.parametrize(
    ("finish_reason", "end"),
    [("stop", "'hm'; random .* may help"), ("length", "'hm .cut off.'; random .* cut off: give more --max-tok.*")],
)
def test_a_model_that_understands_nothing_is_warned_of(folder, command, finish_reason, end):
    with ChatServer(lambda messages: "hm") as server:
        server.finish_reason = finish_reason
        lake = ["--env", "FrozenLake-v1", "--method", "llm", "--llm-episodes", "1"]
        err = command(*lake, "--base-url", server.url, "--model", "sm\x9bll").err
    said = rf"warning: at (\d+) of \1 steps the reply names no action, such as {end}"
    assert re.fullmatch(said, err.splitlines()[-1])
    again = command(*lake, "--rollouts", "rollouts/FrozenLake-v1-sm-ll.jsonl").err
    assert again.splitlines()[-1] == err.splitlines()[-1]  # whoever reads it later is told as well


def test_what_a_file_says_of_its_model_does_not_steer_the_terminal(folder, command):
    header, *lines = recording("CliffWalking-v1").read_text().splitlines()
    records = [json.loads(line) for line in [header.replace("Claude", r"a\u001b[2J\nb"), *lines]]
    for record in records:
        record.pop("crc32")
    (folder / "kept.jsonl").write_text("\n".join(map(json.dumps, records)))
    out = command(*ONE, "--rollouts", "kept.jsonl").out
    assert "10 episodes by a [2J b, mean" in out and "\x1b" not in out


@pytest.mark.parametrize(("unclear", "warned"), [(0, False), (2, False), (3, False), (4, True), (6, True)])
def test_one_is_warned_where_most_replies_name_no_action(unclear, warned):
    episode = recorded("FrozenLake-v1")[1][0]
    n = 6
    said = ["hm"] * unclear + ["0"] * (n - unclear)
    short = episode._replace(actions=episode.actions[:n], rewards=episode.rewards[:n], replies=said)
    assert any("names no action" in doubt for doubt in collect.doubts(LAKE, [short], 200)) == warned
