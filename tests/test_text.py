"""Environments in words: rules, sentences, replies."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs_text import ENVIRONMENTS, find_environment, parse_action

NAMES = list(ENVIRONMENTS)
RECORDED = sorted((Path(__file__).parent.parent / "rollouts").glob("*.jsonl"))


@pytest.fixture(scope="module")
def environments():
    return {name: find_environment(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_description_fits_its_environment(name, environments):
    environment = environments[name]
    env = environment.make()
    observation, _ = env.reset(seed=0)
    assert env.spec.max_episode_steps in (100, 200)
    assert len(environment.actions) == env.action_space.n
    assert all(f"{i} = " in environment.rules for i in range(env.action_space.n))
    assert environment.rules.endswith("Answer with the number of one action.")
    assert environment.describe(observation).endswith(".")
    assert environment.best_return is None or environment.best_return > environment.random_return
    if environment.low is not None:
        assert len(environment.low) == len(environment.high) == env.observation_space.shape[0]
    if environment.grid:
        assert len("".join(environment.grid)) == env.observation_space.n


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_rules_of_each_recording_are_those_prompted_today(path, environments):
    with path.open() as lines:
        assert json.loads(next(lines))["system"] == environments[path.stem].rules


def test_there_are_six_recordings():
    assert len(RECORDED) == 6


@pytest.mark.parametrize("name", NAMES)
def test_every_action_round_trips_through_a_reply(name, environments):
    actions = environments[name].actions
    for i, word in enumerate(actions):
        for reply in (
            f"{i}",
            f" {i}.\n",
            f"**{i}**",
            f"Action: {i}",
            f"First 3, then 7.\n**Action:** {i}",
            word,
            word.upper(),
            f"I choose to go {word}!",
            f"<think>0? 1? Action: 0</think>{i}",
            f"Action: 0\nNo, wait.\naction: {i}",
            f"<think>hm</think>\n\nAction: {i}",
            f"'{word}'",
            f"Going {actions[0]} is dangerous.</think>\n{i}",
            f"Action: <{i}>",
            f"Action:\n`{i}`",
        ):
            assert parse_action(reply, actions) == i, reply


@pytest.mark.parametrize(
    "reply",
    [
        "", "4", "-1", "1.5", "01", "left or right", "You are at row 3", "I move to column 2", "Action: 9", "leftover",
        "<think>1", "٣", "9" * 5000, "Action: " + "1" * 5000, "Action: 1\nAction: 7", "0 1", "Action: 1.5",
        "<think>left</think>",
    ],
)  # fmt: skip
def test_what_names_no_action_or_more_than_one_is_invalid(reply):
    assert parse_action(reply, ("left", "down", "right", "up")) is None


def test_a_longer_name_does_not_name_a_shorter_one(environments):
    actions = environments["Pendulum-v1"].actions
    assert parse_action("torque 2 counter-clockwise", actions) == 4
    assert parse_action("clockwise", actions) is None
    assert parse_action("Do not accelerate.", environments["MountainCar-v0"].actions) == 1


words = st.sampled_from(
    [
        "left",
        "down",
        "up",
        "action",
        "Action:",
        "<think>",
        "</think>",
        "0",
        "3",
        "12",
        "**",
        "\n",
        " ",
        "-",
        "no torque",
    ]
)


@given(st.one_of(st.text(), st.lists(words).map("".join), st.lists(words).map(" ".join)), st.sampled_from(NAMES))
def test_the_parser_returns_an_action_or_none_for_any_text(reply, name):
    actions = {"Pendulum-v1": ("torque 2 clockwise", "no torque")}.get(name, ("left", "down", "right", "up"))
    action = parse_action(reply, actions)
    assert action is None or (type(action) is int and 0 <= action < len(actions))


@given(st.text(alphabet=st.characters(exclude_characters="0123456789<>"), max_size=50), st.integers(0, 3))
def test_a_number_in_a_sentence_is_not_an_action(text, number):
    actions = ("left", "down", "right", "up")
    assert parse_action(f"a{text} row {number} b", actions) == parse_action(f"a{text} row  b", actions)


def test_an_8x8_lake_gets_its_own_map():
    lake = find_environment("FrozenLake8x8-v1")
    assert "8x8" in lake.rules and "SFFFFFFF\nFFFFFFFF\nFFFHFFFF" in lake.rules and "after 200 moves" in lake.rules
    assert lake.describe(63) == "You are at row 7, column 7."


def test_sentences_say_what_the_numbers_say(environments):
    say = {name: environment.describe for name, environment in environments.items()}
    assert say["FrozenLake-v1"](14) == "You are at row 3, column 2."
    assert say["CliffWalking-v1"](36) == "You are at row 3, column 0."
    assert say["CartPole-v1"](np.array([-0.5, 0.25, -0.1, 1.0])) == (
        "The cart is 0.50 m to the left of the centre, moving at 0.25 m/s to the right. "
        "The pole leans 5.7 degrees to the left and its tip turns at 57.3 degrees/s to the right."
    )
    assert (
        say["MountainCar-v0"](np.array([-0.5, -0.01])) == "The car is at -0.500, moving at 0.0100 per step to the left."
    )
    assert (
        say["Pendulum-v1"](np.array([0.0, 1.0, -1.0]))
        == "The pendulum is at 90 degrees, turning clockwise at 57 degrees/s."
    )
    pong = np.array([100, 188, 90, 64, 120, 80, 0, 0, -4, 2])
    assert (
        say["RepresentedPong-v0"](pong)
        == "Your paddle is at y = 100. The ball is at x = 120, y = 80, moving by (-4, +2) per action."
    )
    pong[4] = 0
    assert say["RepresentedPong-v0"](pong) == "Your paddle is at y = 100. The ball is not in play."


@pytest.mark.parametrize(("name", "problem"), [("Taxi-v4", "no description"), ("Nonsense-v0", "not an environment")])
def test_an_unknown_environment_is_named_with_the_choice(name, problem):
    with pytest.raises(ValueError, match=f"'{name}' .*{problem}.*FrozenLake-v1"):
        find_environment(name)
