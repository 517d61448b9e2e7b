"""Rollout files: exact replay, round trips, and what a damaged file says."""

import json
import pickle
import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_learners import value_iteration

from envs_text import find_environment, parse_action
from episodes import Episode, crc32, play, read_rollouts, write_rollouts, write_whole

RECORDED = sorted((Path(__file__).parent.parent / "rollouts").glob("*.jsonl"))
LAKE, CART = gym.make("FrozenLake-v1"), gym.make("CartPole-v1")
LAKE_FILE = Path(__file__).parent.parent / "rollouts" / "FrozenLake-v1.jsonl"
MEAN_RETURNS = {
    "FrozenLake-v1": 0.70,
    "CliffWalking-v1": -13,
    "CartPole-v1": 200,
    "MountainCar-v0": -114.7,
    "Pendulum-v1": -132.3,
}


def same(a, b):
    for name, x, y in zip(Episode._fields, a, b):
        assert type(x) is type(y), name
        np.testing.assert_array_equal(x, y, err_msg=name)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype, name


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_each_recording_replays_exactly(path):
    environment = find_environment(path.stem)
    env = environment.make()
    header, episodes = read_rollouts(path, path.stem, env)
    assert header["model"] == "Claude" and len(episodes) == 10
    for episode in episodes:
        actions = iter(episode.actions)
        same(play(env, lambda observation: next(actions), episode.seed), episode._replace(replies=None))  # noqa: B023
        assert [parse_action(reply, environment.actions) for reply in episode.replies] == episode.actions.tolist()
    mean = np.mean([episode.total for episode in episodes])
    assert mean == pytest.approx(MEAN_RETURNS.get(path.stem, 0.1), abs=0.05)


finite = st.floats(-(2.0**29), 2.0**29, width=32)


@st.composite
def cart_episodes(draw):
    T = draw(st.integers(1, 5))
    return Episode(
        draw(st.none() | st.integers(0, 2**31)),
        np.array(draw(st.lists(st.lists(finite, min_size=4, max_size=4), min_size=T + 1, max_size=T + 1)), np.float32),
        np.array(draw(st.lists(st.integers(0, 1), min_size=T, max_size=T))),
        np.array(draw(st.lists(st.floats(-1e9, 1e9), min_size=T, max_size=T)), float),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.none() | st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=T, max_size=T)),
    )


@settings(max_examples=50)
@given(
    episodes=st.lists(cart_episodes(), min_size=1, max_size=3), model=st.text(st.characters(exclude_categories=["Cs"]))
)
def test_writing_then_reading_gives_the_same_episodes(tmp_path_factory, episodes, model):
    path = tmp_path_factory.mktemp("rollouts") / "new" / "file.jsonl"
    write_rollouts(path, {"env": "CartPole-v1", "model": model}, episodes)
    header, again = read_rollouts(path, "CartPole-v1", CART)
    assert header["model"] == model and len(again) == len(episodes)
    for a, b in zip(episodes, again):
        same(a, b)
    assert [p.name for p in path.parent.iterdir()] == ["file.jsonl"]


@settings(max_examples=500)
@given(data=st.data())
def test_damage_in_one_place_is_named_or_harmless(tmp_path_factory, data):
    intact = LAKE_FILE.read_bytes()
    start = data.draw(st.integers(0, len(intact) - 1))
    length = data.draw(st.sampled_from([0, 1, 1, 2, 3, 80, 100_000]))
    instead = data.draw(
        st.sampled_from([b"", b"0", b"1", b"9", b" ", b"\n", b"-", b'"', b"]", b"\xff", b"NaN"]) | st.binary(max_size=3)
    )
    path = tmp_path_factory.mktemp("damaged") / "file.jsonl"
    path.write_bytes(intact[:start] + instead + intact[start + length :])
    try:
        header, episodes = read_rollouts(path, "FrozenLake-v1", LAKE)
    except ValueError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        assert re.search(r" line \d+: |is empty", str(error))
    else:
        expected_header, expected = read_rollouts(LAKE_FILE, "FrozenLake-v1", LAKE)
        assert header == expected_header
        for a, b in zip(episodes, expected, strict=True):
            same(a, b)


def lake_record(**changes):
    record = {
        "seed": 0,
        "observations": [0, 4, 5],
        "actions": [1, 2],
        "rewards": [0, 0],
        "terminated": True,
        "truncated": False,
    }
    return {**record, **changes}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"actions": [1, 4]}, "actions is not a list of numbers from 0..3"),
        ({"actions": [1, True]}, "actions is not a list"),
        ({"actions": [1, 1.0]}, "actions is not a list"),
        ({"actions": [], "rewards": [], "observations": [0]}, "actions is not a list"),
        ({"rewards": [0, float("nan")]}, "NaN is not a finite number"),
        ({"rewards": [0, float("inf")]}, "Infinity is not a finite number"),
        ({"rewards": [0, 10**400]}, "rewards is not a list of finite numbers"),
        ({"rewards": [0]}, "2 actions need 2 rewards and 3 observations"),
        ({"observations": [0, 4]}, "2 actions need 2 rewards and 3 observations"),
        ({"observations": [0, 4, 16]}, "observations is not a list of numbers from 0..15"),
        ({"observations": [[0], [4], [5]]}, "observations is not a list of numbers from 0..15"),
        ({"terminated": 1}, "true or false"),
        ({"replies": ["1"]}, "2 actions need 2 replies"),
        ({"replies": ["1", 2]}, "reply is not text"),
        ({"seed": "0"}, "seed is not a whole number"),
    ],
)
def test_a_wrong_episode_is_refused_with_file_and_line(tmp_path, changes, problem):

    path = tmp_path / "file.jsonl"
    lines = [{"format": "loro-rollouts-1", "env": "FrozenLake-v1"}, lake_record(), lake_record(**changes)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError, match=rf"file\.jsonl line 3: .*{problem}"):
        read_rollouts(path, "FrozenLake-v1", LAKE)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (pickle.dumps([1, 2]), "line 1: not JSON.*pickles"),
        (b"[1]\n", "line 1: not a JSON object"),
        (b"[" * 100_000, "line 1"),
        (b'{"env": "FrozenLake-v1"}\n', "line 1: not a rollout file"),
        (b'{"format": "loro-rollouts-1", "env": "FrozenLake-v1"}\n', "line 1: the file ends after 0 episodes"),
        (
            b'{"format": "loro-rollouts-1", "env": "CartPole-v1"}\n',
            "line 1: episodes of CartPole-v1, not of FrozenLake-v1",
        ),
        (
            b"".join(LAKE_FILE.read_bytes().splitlines(keepends=True)[:5]),
            "line 5: the file ends after 4 episodes of 10",
        ),
    ],
)
def test_what_is_no_rollout_file_is_refused(tmp_path, content, problem):
    path = tmp_path / "file.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=problem):
        read_rollouts(path, "FrozenLake-v1", LAKE)


def test_a_line_that_does_not_agree_with_its_checksum_is_refused(tmp_path):
    lines = LAKE_FILE.read_bytes().splitlines()
    for damaged in (lines[3].replace(b"0.0, 0.0", b"0.0, 1.0", 1), lines[3].replace(b"crc32", b"crc3", 1)):
        path = tmp_path / "file.jsonl"
        path.write_bytes(b"\n".join([*lines[:3], damaged, *lines[4:]]))
        with pytest.raises(ValueError, match=r"file\.jsonl line 4: damaged"):
            read_rollouts(path, "FrozenLake-v1", LAKE)


def test_files_without_checksums_are_read(tmp_path):
    lines = [line.rsplit(b', "crc32"', 1)[0] + b"}" for line in LAKE_FILE.read_bytes().splitlines()]
    path = tmp_path / "file.jsonl"
    path.write_bytes(b"\n".join(lines))
    for a, b in zip(
        read_rollouts(path, "FrozenLake-v1", LAKE)[1], read_rollouts(LAKE_FILE, "FrozenLake-v1", LAKE)[1], strict=True
    ):
        same(a, b)


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half \ud800 of it")
    assert path.read_text() == "before" and len(list(tmp_path.iterdir())) == 1


def test_the_checksum_sees_every_field():
    assert (
        len({crc32(lake_record(**change)) for change in ({}, {"seed": 1}, {"rewards": [0, 1]}, {"truncated": True})})
        == 4
    )


shared = Path(__file__).parent.parent.parent / "shared" / "qwen2.5-7b"


@pytest.mark.skipif(not shared.is_dir(), reason="the weak teacher's episodes are not here")
def test_episodes_without_seeds_and_replies_are_read():
    for path in shared.glob("*.jsonl"):
        _, episodes = read_rollouts(path, path.stem, find_environment(path.stem).make())
        assert len(episodes) == 30 and all(e.seed is None and e.replies is None for e in episodes)


@pytest.mark.parametrize(("name", "pairs"), [("FrozenLake-v1", 11), ("CliffWalking-v1", 13)])
def test_the_recordings_contain_what_an_optimal_policy_visits(name, pairs):
    env = find_environment(name).make()
    P = env.unwrapped.P
    best = value_iteration(P, env.observation_space.n, env.action_space.n, 0.99).argmax(1)
    visited, ahead = set(), [int(env.reset(seed=0)[0])]
    while ahead:
        s = ahead.pop()
        visited.add((s, int(best[s])))
        ahead += [s2 for _, s2, _, end in P[s][best[s]] if not end and (s2, best[s2]) not in visited]
    _, episodes = read_rollouts(RECORDED[0].parent / f"{name}.jsonl", name, env)
    recorded = {pair for e in episodes for pair in zip(e.observations[:-1].tolist(), e.actions.tolist())}
    assert len(visited) == pairs and visited <= recorded
    assert (
        f"`{name}.jsonl` | 10 | {sum(len(e.actions) for e in episodes)} |"
        in (RECORDED[0].parent / "README.md").read_text()
    )
