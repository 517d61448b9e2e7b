"""Policies that were kept, what a person sees of them and of recorded episodes, and environments of one's own."""

import io
import json
import os
import re
import sys
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from helpers import ROOT, SETTINGS, environment, python, recorded, recording, table, write_lines
from hypothesis import given, settings
from hypothesis import strategies as st

import files
import loro
import watch
from benchmarks import measure
from envs_text import find_environment
from episodes import play, read_rollouts, record_of
from files import UserError

LAKE = environment("FrozenLake-v1")
SCREENS = "DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"
SHORT = SETTINGS._replace(evaluations=12, clone_updates=500, hidden=(8, 4), acting_rate=0.5)


def keep(folder, name, agent=None):
    """(path, agent) of a policy in the environment called `name`, kept as loro.py keeps it."""
    known, method = environment(name), loro.METHODS["clone"]
    made_of = {"reward_scale": known.reward_scale, "low": known.low, "high": known.high}
    about = {"env": name, "method": "clone", "seed": 3, "config": SHORT._asdict() | made_of}

    def make():
        made, learner = loro.run(known, method, SHORT, 3, recorded(name)[1])
        return made, agent or learner

    agent = files.kept_or_made(folder, about, False, make)[1]
    return files.result_path(folder, {"env": name, "method": "clone", "seed": 3}).with_suffix(".npz"), agent


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """{name: (path, agent)} of a table and a network."""
    folder = tmp_path_factory.mktemp("kept")
    return {name: keep(folder, name) for name in ("FrozenLake-v1", "CartPole-v1")}


@pytest.fixture
def shown(command):
    """`python watch.py ARGUMENTS`: what it printed."""
    return lambda *arguments: command(*arguments, program=watch).out


# A kept policy


def test_a_network_that_was_kept_may_learn_on_from_what_it_knew(kept):
    agent = watch.load_agent(kept["CartPole-v1"][0], environment("CartPole-v1"))
    for network in agent.online, agent.target, agent.acting:
        np.testing.assert_array_equal(network.parameters, kept["CartPole-v1"][1].learnt)
    agent.online.parameters[:] = 0
    assert agent.target.parameters.any() and agent.learnt.any()  # each has its own


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CartPole-v1"])
def test_a_kept_policy_values_and_acts_as_the_learner_did(kept, name):
    path, agent = kept[name]
    loaded = watch.load_agent(path, environment(name))
    observations = np.concatenate([episode.observations for episode in recorded(name)[1]])
    np.testing.assert_array_equal(loaded.values(observations), agent.values(observations))
    np.testing.assert_array_equal(loaded.learnt, agent.learnt)
    assert files.read_policy(path)[0]["env"] == name and len(set(agent.values(observations).argmax(1))) > 1


def test_a_method_that_learns_nothing_keeps_no_policy(tmp_path, command):
    few = "--evaluations", 12, "--clone-updates", 9
    command("--env", "FrozenLake-v1", "--method", "llm", "clone", *few, "--out", tmp_path)
    assert sorted(path.name for path in (tmp_path / "FrozenLake-v1").iterdir()) == [
        "clone-0.json", "clone-0.npz", "llm-0.json"
    ]  # fmt: skip


class Runs:
    """What an unpickling would do: make a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_policy_from_a_stranger_runs_no_code(tmp_path):
    np.savez(tmp_path / "bad.npz", about=np.array(Runs(tmp_path / "ran"), object), learnt=np.zeros(3))
    with pytest.raises(UserError, match="is not a whole policy"):
        files.read_policy(tmp_path / "bad.npz")
    assert not (tmp_path / "ran").exists()


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_policy_is_named_or_whole(kept, data):
    name = data.draw(st.sampled_from(sorted(kept)))
    path, agent = kept[name]
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1) | st.integers(len(whole) - 22, len(whole) - 1))  # its directory
    damaged = path.with_name("damaged.npz")
    flipped = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    damaged.write_bytes(data.draw(st.sampled_from([whole[:place], flipped])))
    try:
        loaded = watch.load_agent(damaged, environment(name))
    except ValueError as error:
        assert str(error) == f"{damaged} is not a whole policy; run that seed again"
    else:
        np.testing.assert_array_equal(loaded.learnt, agent.learnt)


@pytest.mark.parametrize(("place", "bit"), [(6, 1), (8, 64)], ids=["encrypted", "unknown compression"])
def test_a_policy_whose_archive_says_nonsense_is_named(kept, place, bit):
    path, _ = kept["FrozenLake-v1"]
    whole = bytearray(path.read_bytes())
    for entry in whole.find(b"PK\x03\x04"), whole.find(b"PK\x01\x02") + 2:
        whole[entry + place] ^= bit
    damaged = path.with_name("nonsense.npz")
    damaged.write_bytes(whole)
    with pytest.raises(UserError, match=r"nonsense\.npz is not a whole policy"):
        watch.load_agent(damaged, LAKE)


def test_an_array_that_is_no_policy_is_named(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(UserError, match=r"array\.npy is not a whole policy"):
        watch.load_agent(tmp_path / "array.npy", LAKE)


@pytest.mark.parametrize(
    "change",
    [
        {"config": {}},
        {"hidden": [8, 4.0]},
        {"hidden": [8, 5]},
        {"hidden": [-1]},
        {"low": [0.0]},
        {"high": None},
        {"reward_scale": 0.5},
        {"learnt": np.zeros((2, 2, 2))},
    ],
)
def test_a_policy_that_does_not_fit_is_refused(kept, tmp_path, change):
    refused(kept, tmp_path, change, "of another environment than there is now, or of other code; run that seed again")


@pytest.mark.parametrize(
    "change",
    [
        {"config": None},
        {"learnt": np.full(86, np.nan)},
        {"learnt": np.array([{}], object)},
        {"about": "[]"},
    ],
)
def test_what_is_no_whole_policy_is_refused(kept, tmp_path, change):
    refused(kept, tmp_path, change, "not a whole policy; run that seed again")


def refused(kept, tmp_path, change, problem):
    about, learnt = files.read_policy(kept["CartPole-v1"][0])
    for name, value in change.items():
        (about if name in about else about["config"])[name] = value
    array = change.get("learnt", learnt)
    np.savez(tmp_path / "odd.npz", about=change.get("about", json.dumps(about, default=str)), learnt=array)
    with pytest.raises(UserError, match=rf"odd\.npz is {problem}$"):
        watch.load_agent(tmp_path / "odd.npz", environment("CartPole-v1"))


def test_a_policy_that_names_no_environment_is_refused(kept, tmp_path, shown):
    about, learnt = files.read_policy(kept["CartPole-v1"][0])
    np.savez(tmp_path / "odd.npz", about=json.dumps({**about, "env": None}), learnt=learnt)
    with pytest.raises(UserError, match=r"odd\.npz is of 'None'"):
        shown(tmp_path / "odd.npz")


def test_a_learner_of_ones_own_is_kept_and_loaded(tmp_path, monkeypatch):
    class Linear:  # what agents/__init__.py asks for, and no more
        def __init__(self, env, known, settings, rng):
            self.learnt, self.n_actions, self.reward_scale, self.settings = np.ones((5, 2)), 2, 0.2, settings
            self.updates = 1

        def values(self, observations):
            return np.c_[observations, np.ones(len(observations))] @ self.learnt

    monkeypatch.setattr(watch, "make_agent", Linear)
    known = environment("CartPole-v1")
    agent = Linear(None, known, SHORT, None)
    agent.learnt *= 3
    path, _ = keep(tmp_path, "CartPole-v1", agent)
    assert watch.load_agent(path, known).values(np.ones((1, 4))).tolist() == [[15, 15]]
    assert watch.load_agent(path, known._replace(low=tuple(known.low))).clone is not None


def test_what_does_not_exist_is_named(tmp_path):
    with pytest.raises(OSError, match=r"none\.npz"):
        watch.load_agent(tmp_path / "none.npz", LAKE)


# What a person sees


def test_a_policy_plays_new_episodes(kept, shown):
    path, agent = kept["FrozenLake-v1"]
    *arrows, first, second, third, mean = shown(path, "--episodes", 3).splitlines()
    env, told, total = LAKE.make(), [], 0
    for i, seed in enumerate(range(1000, 1003)):  # seeds that no recording has
        observation, steps, end = env.reset(seed=seed)[0], 0, False
        while not end:
            observation, reward, terminated, truncated, _ = env.step(int(agent.values([observation]).argmax()))
            steps, end = steps + 1, terminated or truncated
        told.append(f"episode {i}: return {reward:g}, {steps} steps")
        total += reward
    assert len(arrows) == 5 and [first, second, third] == told
    assert mean == f"FrozenLake-v1: 3 episodes by {path}, mean return {total / 3:.2f}"


def test_a_policy_of_a_grid_world_is_drawn_as_arrows(shown, tmp_path):
    agent = table(16, 4)
    agent.updates, agent.q[:] = 1, np.eye(4)[[0, 3, 1, 2] * 4]
    lines = shown(keep(tmp_path, "FrozenLake-v1", agent)[0], "--episodes", 1).splitlines()
    assert lines[:5] == ["← ↑ ↓ →", "← H ↓ H", "← ↑ ↓ H", "H ↑ ↓ G", ""] and lines[5].startswith("episode 0: return ")
    assert shown(recording("FrozenLake-v1")).startswith("episode 0: ")


def test_an_llms_episode_is_told_step_by_step(shown):
    lines = shown(recording("CliffWalking-v1"), "--episode", 2).splitlines()
    start = lines.index("step 0: You are at row 3, column 0.")
    assert " ".join(lines[: start - 1]) == " ".join(recorded("CliffWalking-v1")[0]["system"].split())
    assert lines[start + 1 : start + 5] == [". . . . . . . . . . . ."] * 3 + ["@ C C C C C C C C C C G"]
    assert lines[start + 5 : start + 9] == ["it says '0'", "action 0, up: reward -1", "", lines[start + 8]]
    assert lines[start + 8] == "step 1: You are at row 2, column 0." and lines[start + 11][:3] == "@ ."
    assert lines[-3:-1] == ["terminated, return -13", ""] and max(map(len, lines)) <= 80


@pytest.mark.parametrize(("replies", "random"), [("hm", True), (["hm", "no"], True), (["hm", "2"], False)])
def test_an_action_that_no_reply_names_is_called_random(replies, random):
    lake, episodes = environment("FrozenLake-v1"), recorded("FrozenLake-v1")[1]
    odd = episodes[0]._replace(replies=[replies] * len(episodes[0].actions))
    (line,) = {line for line in watch.steps(lake, odd, None) if line.startswith("it says")}
    assert line.startswith(f"it says {replies!r}") and ("names no action; a random one stands in" in line) == random


@pytest.mark.parametrize(
    ("clone", "q", "told"),
    [
        (False, [0.01, -0.04, 0.02, 0], "Q(s, .): up 0.50, right -2.00, down 1.00, left 0.00"),  # by the reward_scale
        (True, [0.25, -1, 0.5, 0], "it imitates: up 0.30, right 0.09, down 0.38, left 0.23"),  # softmax
    ],
)
def test_what_a_policy_makes_of_each_action_stands_beside_the_sentence(clone, q, told, shown, tmp_path):
    agent = table(48, 4)
    agent.updates, agent.q[:] = 1, [q] * 48
    path, _ = keep(tmp_path, "CliffWalking-v1", agent)
    about, learnt = files.read_policy(path)
    assert about["clone"] is True  # since the method is
    about["clone"] = clone
    np.savez(path, about=json.dumps(about), learnt=learnt)
    lines = shown(path, "--episode", 0).splitlines()
    place = lines.index(told)
    assert lines[place + 1] == "action 2, down: reward -1"


@pytest.mark.parametrize(("field", "first"), [("rules", "Old."), ("system", "Old."), ("note", None)])
def test_the_rules_that_are_shown_are_those_the_llm_was_told(field, first, shown, tmp_path):
    header = {"format": "loro-rollouts-1", "env": "CliffWalking-v1", field: "Old."}
    path = write_lines(tmp_path / "kept.jsonl", header, record_of(recorded("CliffWalking-v1")[1][0]))
    start, usual = shown(path, "--episode", 0), environment("CliffWalking-v1").rules
    assert start.startswith(first or usual[:40])


def test_what_a_recording_says_does_not_steer_the_terminal(shown, tmp_path):
    header, episodes = recorded("CliffWalking-v1")
    bad = episodes[0]._replace(replies=["\x1b[2J\nup"] + ["x"] * 12)
    header = {"format": "loro-rollouts-1", "env": "CliffWalking-v1", "rules": "a\x1b[2Jb", "model": "c\x1b[2Jd"}
    path = write_lines(tmp_path / "kept.jsonl", header, record_of(bad))
    told = shown(path, "--episode", 0)
    assert "\x1b" not in told and "a [2Jb" in told and "by c [2Jd" in told


def test_a_player_without_a_name_is_called_so(shown, tmp_path):
    header = {"format": "loro-rollouts-1", "env": "CliffWalking-v1"}
    path = write_lines(tmp_path / "kept.jsonl", header, record_of(recorded("CliffWalking-v1")[1][0]))
    assert "1 episodes by an unnamed player, mean return -13.00" in shown(path)


def test_a_world_without_a_map_is_told_without_one():
    lines = [list(watch.steps(environment("FrozenLake-v1")._replace(grid=grid), recorded("FrozenLake-v1")[1][0], None))
             for grid in (None, ())]
    assert lines[0] == lines[1] and "step 0: You are at row 0, column 0." in lines[0]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--episode", 10], "the last is --episode 9"),
        (["--pictures", "/dev/null/a.gif"], "File exists|directory"),
        (["--pictures", "a.png"], "is no .gif"),
    ],
)
def test_what_cannot_be_shown_is_named(shown, arguments, problem):
    with pytest.raises((UserError, OSError), match=problem):
        shown(recording("CliffWalking-v1"), *arguments)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "loro-rollouts-1"}'])
def test_a_file_that_names_no_environment_is_named(shown, tmp_path, text):
    (tmp_path / "odd.jsonl").write_text(text)
    with pytest.raises(UserError, match=r"odd\.jsonl line 1: names no environment"):
        shown(tmp_path / "odd.jsonl")


def test_pictures_show_each_step(shown, tmp_path):
    pillow = pytest.importorskip("PIL.Image", reason="without Pillow: pip install pillow")
    pytest.importorskip("pygame", reason="without pygame: pip install pygame-ce")
    shown(recording("CliffWalking-v1"), "--pictures", tmp_path / "a.gif")
    with pillow.open(tmp_path / "a.gif") as picture:
        assert picture.format == "GIF" and picture.n_frames == 14
        assert picture.info["loop"] == 0  # again and again
        assert picture.info["duration"] == 250  # milliseconds: this environment asks for four pictures a second


@pytest.mark.parametrize(("wanted", "pause"), [(50, 50), (10, 100), (None, 50)])
def test_pictures_follow_each_other_as_the_environment_wants_but_at_most_twenty_a_second(
    shown, tmp_path, monkeypatch, wanted, pause
):
    pillow = pytest.importorskip("PIL.Image", reason="without Pillow: pip install pillow")
    monkeypatch.setitem(environment("CliffWalking-v1").make().metadata, "render_fps", wanted)
    monkeypatch.setattr(watch, "frames", lambda *_: np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3))
    shown(recording("CliffWalking-v1"), "--pictures", tmp_path / "a.gif")
    with pillow.open(tmp_path / "a.gif") as picture:
        assert picture.info["duration"] == pause


@pytest.mark.parametrize("missing", ["PIL", "pygame"])
def test_without_what_draws_one_line_says_what_to_install(shown, tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match="pip install pillow"):
        shown(recording("CliffWalking-v1"), "--pictures", tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_without_a_screen_there_is_no_window(shown, monkeypatch):
    for name in SCREENS:
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(UserError, match=r"there is no screen for --human; give --pictures FILE\.gif"):
        shown(recording("CliffWalking-v1"), "--human")


def test_pictures_need_no_screen(tmp_path):
    pytest.importorskip("pygame", reason="without pygame: pip install pygame-ce")
    pytest.importorskip("PIL.Image", reason="without Pillow: pip install pillow")
    env = {name: value for name, value in os.environ.items() if name not in SCREENS} | {"SDL_VIDEODRIVER": "x11"}
    process = python(ROOT / "watch.py", recording("CliffWalking-v1"), "--pictures", tmp_path / "a.gif", env=env)
    assert process.communicate()[1] == "" and process.returncode == 0


def test_an_episode_without_a_seed_is_not_drawn():
    episode = recorded("CliffWalking-v1")[1][0]._replace(seed=None)
    with pytest.raises(UserError, match="seed"):
        next(watch.frames(environment("CliffWalking-v1"), episode, "rgb_array"))


# An environment of one's own

(MODULE,) = re.findall(r"```python\n(import gymnasium.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
MODULE += 'ENVIRONMENTS["FrozenLake-v1"] = lambda name: taxi("Taxi-v4")\n'


@pytest.fixture
def module(own_module):
    """A module of one's own in the working directory."""
    own_module(MODULE)


def test_ones_own_environment_is_run_and_watched(module, tmp_path, command, shown):
    out = command("--env", "my_games:Taxi-v4", "--method", "online", "--evaluations", 2).out
    assert "Each run is kept in results/my_games-Taxi-v4." in out
    path = tmp_path / "results/my_games-Taxi-v4/online-0.npz"
    assert json.loads(path.with_suffix(".json").read_text())["env"] == "my_games:Taxi-v4"
    with pytest.raises(UserError, match="give --env my_games:Taxi-v4, if its module may be imported"):
        shown(path)
    assert "You are at row " in shown(path, "--env", "my_games:Taxi-v4", "--episode", 0)
    assert files.read_results(tmp_path / "results")[0]["env"] == "my_games:Taxi-v4"


def test_a_changed_module_makes_another_result(module, tmp_path, command):
    short = "--env", "my_games:Taxi-v4", "--method", "random", "--evaluations", 2, "--llm-episodes", 1
    command(*short)
    command(*short, "--resume")
    sys.modules.pop("my_games")
    (tmp_path / "my_games.py").write_text(MODULE.replace("gym.make(name, **options)", "gym.make(name, 99, **options)"))
    with pytest.raises(UserError, match=r"made with code \w+, not "):
        command(*short, "--resume")


def test_a_policy_of_another_shape_than_its_environment_has_now_is_refused(module, tmp_path, command, shown):
    command("--env", "my_games:Taxi-v4", "--method", "online", "--evaluations", 2)
    sys.modules.pop("my_games")
    lake = 'ENVIRONMENTS = {"Taxi-v4": lambda name: find_environment("FrozenLake-v1")}\n'
    (tmp_path / "my_games.py").write_text(f"from envs_text import find_environment\n{lake}")
    with pytest.raises(UserError, match=r"online-0\.npz is of another environment than there is now"):
        shown(tmp_path / "results/my_games-Taxi-v4/online-0.npz", "--env", "my_games:Taxi-v4")


def test_a_module_of_ones_own_may_import_more_from_the_working_directory_later(tmp_path, monkeypatch):
    game = "class Game(gym.envs.toy_text.FrozenLakeEnv):\n    pass\n"
    (tmp_path / "my_game.py").write_text(f"import gymnasium as gym\n{game}")
    register = 'gym.register("Mine-v0", "my_game:Game", max_episode_steps=9)\n'
    late = MODULE.replace("def taxi", register + "def taxi").replace("Taxi-v4", "Mine-v0")
    (tmp_path / "my_late.py").write_text(late)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"its action space is Discrete\(4\)"):  # so it has been made
        find_environment("my_late:Mine-v0")


@pytest.mark.parametrize(
    ("text", "kind", "problem"),
    [
        ("None.foo", AttributeError, "'NoneType' object has no attribute 'foo'"),  # a fault of its own stays one
        ("int('one')", ValueError, "^invalid literal"),
        ("def", ValueError, "'my_broken' is no module with ENVIRONMENTS: invalid syntax"),
        ("import nothing_there", ValueError, "'my_broken' is no module with ENVIRONMENTS: No module named 'nothing"),
        ("import sys; sys.exit()", ValueError, "'my_broken' is no module with ENVIRONMENTS: it ends Python"),
        ("import os; os.chdir('..')", ValueError, "'my_broken' is no module with ENVIRONMENTS, a dict"),
        ("ENVIRONMENTS = {}", ValueError, "with ENVIRONMENTS, a dict that is not empty"),
        ("ENVIRONMENTS = {1: None}", ValueError, "choose one of my_broken:1, or your own"),
        ("ENVIRONMENTS = ['Taxi-v4']", ValueError, "a dict that is not empty; the one that is found is .*broken.py"),
    ],
)
def test_a_module_that_is_none_is_told_from_one_with_a_fault(tmp_path, monkeypatch, text, kind, problem):
    (tmp_path / "my_broken.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "my_broken", None)  # so that it is taken out in the end
    del sys.modules["my_broken"]
    with pytest.raises(kind, match=problem):
        find_environment("my_broken:Taxi-v4")


def test_a_policy_plays_as_many_episodes_as_the_chosen_one_needs(kept, shown):
    assert "FrozenLake-v1: 26 episodes by " in shown(kept["FrozenLake-v1"][0], "--episode", 25)


def test_what_is_no_policy_is_read_as_a_recording(kept, shown, tmp_path):
    with pytest.raises(UserError, match=r"online-0\.txt line 1: "):
        shown(write_lines(tmp_path / "online-0.txt", {"env": "FrozenLake-v1"}))
    with pytest.raises(UserError, match=r"online-3\.json is a result; its policy is .*online-3\.npz, if it has one"):
        shown(tmp_path / "online-3.json")
    for missing in tmp_path, tmp_path / "llm-0.npz":
        with pytest.raises(UserError, match=rf"there is no file {missing}; give a policy"):
            shown(missing)
    path = tmp_path / "lake.txt"
    path.write_bytes((ROOT / "rollouts/FrozenLake-v1.jsonl").read_bytes())
    assert "10 episodes by Claude" in shown(path)


def test_pictures_are_of_the_episode_that_is_told():
    class Seen(gym.Wrapper):
        def render(self):
            return int(self.unwrapped.s)

    known = environment("FrozenLake-v1")
    drawn = known._replace(make=lambda render_mode=None: Seen(known.make()))
    for episode in recorded("FrozenLake-v1")[1]:
        assert list(watch.frames(drawn, episode, "rgb_array")) == episode.observations.tolist()


def test_an_environment_that_draws_nothing_says_so():
    class Plain(gym.Wrapper):
        metadata: ClassVar = {"render_modes": ["ansi"]}

    known, (episode, *_) = environment("FrozenLake-v1"), recorded("FrozenLake-v1")[1]
    plain = known._replace(make=lambda **options: Plain(known.make(**options)))
    with pytest.raises(UserError, match="draws none"):
        list(watch.frames(plain, episode, "rgb_array"))


def test_a_file_cannot_make_watch_import_a_module(module, shown, tmp_path):
    path = write_lines(tmp_path / "bad.jsonl", {"format": "loro-rollouts-1", "env": "my_games:Taxi-v4"}, {})
    with pytest.raises(UserError, match="may be imported"):
        shown(path)
    assert "my_games" not in sys.modules


def test_a_name_of_ones_own_does_not_hide_the_projects(module):
    assert find_environment("my_games:FrozenLake-v1").rules.startswith("You are driving a taxi")
    assert find_environment("FrozenLake-v1").rules.startswith("You are crossing")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("my_games:Nonsense-v0", "choose one of my_games:Taxi-v4, my_games:FrozenLake-v1, or your own"),
        ("no_such_module:Taxi-v4", "'no_such_module' is no module with ENVIRONMENTS: No module named"),
        ("json:Taxi-v4", "'json' is no module with ENVIRONMENTS"),
        ("..x:Taxi-v4", "no module"),
        ("my_games.py:Taxi-v4", "'my_games.py' is no module .*: give the name of one, such as my_games"),
    ],
)
def test_what_is_wrong_with_ones_own_name_is_said(module, name, problem):
    with pytest.raises(UserError, match=problem):
        find_environment(name)


def test_a_module_that_does_not_compile_is_named(module, tmp_path):
    (tmp_path / "my_broken.py").write_text("def")
    with pytest.raises(UserError, match="'my_broken' is no module"):
        find_environment("my_broken:X-v0")


# What README and the data card say in Python


def blocks(name):
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)


def test_a_reader_that_has_seen_enough_does_not_keep_the_picture_from_being_drawn(tmp_path, monkeypatch):
    pytest.importorskip("PIL"), pytest.importorskip("pygame")

    class Head(io.TextIOWrapper):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Head(io.BytesIO(), write_through=True))
    path = tmp_path / "a.gif"
    monkeypatch.setattr(sys, "argv", ["watch.py", str(recording("CliffWalking-v1")), "--pictures", str(path)])
    with pytest.raises(BrokenPipeError):
        watch.main()
    assert path.read_bytes().startswith(b"GIF")


def test_readmes_lines_load_a_policy(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    command("--env", "FrozenLake-v1", "--method", "loro-plus", "--evaluations", 12)
    for known in ({"observation": observation} for observation in (0, 4)):
        exec(next(block for block in blocks("README.md") if "load_agent" in block), known)
        assert known["action"] == 0
        assert known["env"].spec.id == "FrozenLake-v1" and known["env"].reset()[0] == 0


def test_the_data_cards_lines_put_twenty_episodes_into_a_file(tmp_path, monkeypatch):
    (tmp_path / "rollouts").symlink_to(ROOT / "rollouts")
    monkeypatch.chdir(tmp_path)
    exec(blocks("rollouts/README.md")[0], {})
    for name in "MountainCar-v0", "Pendulum-v1", "RepresentedPong-v0":
        _, episodes = read_rollouts(tmp_path / "twenty" / f"{name}.jsonl", name, environment(name).make())
        assert [episode.seed for episode in episodes] == [*range(20)]


def test_the_data_cards_lines_write_demonstrations(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    exec(blocks("rollouts/README.md")[1], {"policy": lambda observation: 0})
    out = command("--env", "FrozenLake-v1", "--rollouts", "mine.jsonl", "--method", "llm").out
    assert "10 episodes by me, mean return 0.00 (mine.jsonl)" in out


def never_changing():
    env = gym.make("CartPole-v1", max_episode_steps=20)
    space = gym.spaces.Box(np.array([-np.inf, 0], np.float32), np.array([np.inf, 1], np.float32))
    return gym.wrappers.TransformObservation(env, lambda s: np.array([1.5, 0.5], np.float32), space)


def numbered(space):
    env = gym.make("CartPole-v1", max_episode_steps=20)
    return gym.wrappers.TransformObservation(env, lambda s: np.array([s[2] > 0, 1 + (s[3] > 0)]), space)


def test_what_is_measured_is_printed_so_that_a_description_may_hold_it(own_module, command):
    own_module("""
import gymnasium as gym, numpy as np
from envs_text import cart_pole
def far(**options):
    env, space = gym.make("CartPole-v1", max_episode_steps=20), gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    return gym.wrappers.TransformObservation(env, lambda s: np.float32([100200 + s[0]]), space)
def described(name):
    return cart_pole(name)._replace(make=far, describe=str, rules="Play.", low=(0,), high=(1,))
ENVIRONMENTS = {"Far-v0": described}
""")
    printed = command("my_games:Far-v0", program=measure).out
    found = {}
    exec(printed.replace(",\n", "\n"), found)
    assert found["low"][0] < found["high"][0] and found["random_return"] == float(f"{found['random_return']:.3g}")


def test_a_random_policy_gives_what_a_description_needs():
    found = measure.measure(environment("CartPole-v1"), 50)
    assert found["random_return"] == pytest.approx(22.4, abs=4) and found["reward_scale"] == 0.2
    assert found["random_std"] == pytest.approx(11.8, abs=4)
    assert found["low"][[0, 2]] == pytest.approx([-4.8, -0.419], abs=1e-3) and -3 < found["low"][1] < -1
    env, rng = environment("CartPole-v1").make(), np.random.default_rng(0)
    two = [play(env, lambda observation: rng.integers(2), seed).total for seed in range(2)]
    assert measure.measure(environment("CartPole-v1"), 2)["random_std"] == pytest.approx(abs(two[0] - two[1]) / 2**0.5)
    assert measure.measure(environment("FrozenLake-v1"), 5)["reward_scale"] == 1
    cards = environment("CartPole-v1")._replace(make=lambda: numbered(gym.spaces.MultiDiscrete([4, 4])))
    assert measure.measure(cards, 5)["low"].tolist() == [0, 1] and measure.measure(cards, 5)["high"].tolist() == [1, 2]
    still = environment("CartPole-v1")._replace(make=never_changing)
    assert [measure.measure(still, 5)[name].tolist() for name in ("low", "high")] == [[1.0, 0.0], [2.0, 1.0]]
    assert measure.measure(environment("CliffWalking-v1"), 5)["reward_scale"] == pytest.approx(0.02, abs=0.004)
