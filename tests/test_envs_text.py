"""The environments in words: rules, sentences, replies; and what is said of them, computed anew."""

import json
import re
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from helpers import ROOT, SHIPPED, best_return, environment, recorded
from hypothesis import given, settings
from hypothesis import strategies as st

import envs_text
from envs_text import find_environment, parse_action
from episodes import play, read_rollouts
from files import UserError

VECTORS = [name for name in SHIPPED if environment(name).low]
GRIDS = [name for name in SHIPPED if environment(name).grid]
every = pytest.mark.parametrize("name", SHIPPED)


# What is said of an environment


@every
def test_each_action_has_a_name_and_a_place_in_the_rules(name):
    known = environment(name)
    n = known.make().action_space.n
    assert len(set(known.actions)) == len(known.actions) == n
    assert re.findall(r"(\d) = ", known.rules) == [str(i) for i in range(n)]


@every
def test_the_rules_ask_for_a_number_or_for_reasons_first(name):
    rules, reasoned = (environment(name, reasoning).rules for reasoning in (False, True))
    assert rules.endswith(" Answer with the number of one action.")
    assert reasoned.endswith(" Think about it briefly, then answer with a last line `Action: <number>`.")


@every
def test_the_rules_are_as_they_were_when_the_recording_was_made(name):
    assert recorded(name)[0]["system"] == environment(name).rules


@every
def test_the_step_limit_in_the_rules_is_that_of_the_environment(name):
    known = environment(name)
    (limit,) = re.findall(r"(?:after|lasts) (\d+) (?:moves|steps|actions)", known.rules)
    assert known.make().spec.max_episode_steps == int(limit)


@pytest.mark.parametrize("name", ["CliffWalking-v1", "MountainCar-v0", "Pendulum-v1", "RepresentedPong-v0"])
def test_an_environment_ends_at_its_step_limit(name):
    env = environment(name).make()
    still = {"MountainCar-v0": 1}.get(name, 0)  # or into a wall
    episode = play(env, lambda observation: still, 0)
    assert len(episode.actions) == env.spec.max_episode_steps and episode.truncated and not episode.terminated


def test_a_balanced_pole_falls_at_the_step_limit_and_no_later():
    episode = play(environment("CartPole-v1").make(), lambda observation: int(observation[2:].sum() > 0), 0)
    assert len(episode.actions) == 200 and episode.truncated


@pytest.mark.parametrize("name", VECTORS)
def test_the_usual_range_is_what_a_network_needs(name):
    known = environment(name)
    low, high = np.array(known.low), np.array(known.high)
    assert len(low) == len(high) == known.make().observation_space.shape[0] and (low < high).all()
    seen = np.concatenate([episode.observations for episode in recorded(name)[1]])
    scaled = (seen - low) / (high - low) * 2 - 1
    assert abs(scaled).mean() < 1 and np.quantile(abs(scaled), 0.99) < 1.5
    assert (np.ptp(scaled, axis=0) > 0.05).sum() >= len(low) - 2  # Pong's players keep their x


@pytest.mark.parametrize("name", GRIDS)
def test_the_best_return_is_what_planning_to_the_step_limit_gives(name):
    known = environment(name)
    env = known.make()
    start = int(env.reset(seed=0)[0])
    assert best_return(env.unwrapped.P, start, env.spec.max_episode_steps) == pytest.approx(known.best_return, abs=5e-4)


@pytest.mark.parametrize(("name", "episodes", "tolerance"), [
    ("FrozenLake-v1", 400, 0.014), ("CliffWalking-v1", 20, 250), ("CartPole-v1", 200, 3), ("MountainCar-v0", 10, 0),
    ("Pendulum-v1", 30, 250), ("RepresentedPong-v0", 12, 0.6),
])  # fmt: skip
def test_what_was_measured_of_random_play_is_about_right(name, episodes, tolerance):
    known, rng = environment(name), np.random.default_rng(0)
    env = known.make()
    played = [play(env, lambda o: rng.integers(env.action_space.n), seed) for seed in range(episodes)]
    returns, rewards = [each.total for each in played], np.concatenate([each.rewards for each in played])
    assert np.mean(returns) == pytest.approx(known.random_return, abs=tolerance)
    assert np.std(returns) == pytest.approx(known.random_std, rel=0.4)
    assert known.reward_scale == pytest.approx(min(1, 0.2 / abs(rewards).mean()), rel=0.2)


@every
def test_the_best_return_is_above_a_random_policys(name):
    known = environment(name)
    assert known.best_return is None or known.best_return > known.random_return
    assert known.reward_scale > 0 and known.evaluations >= 150


@pytest.mark.parametrize("name", GRIDS)
def test_the_map_is_the_environments(name):
    known = environment(name)
    P, cells = known.make().unwrapped.P, "".join(known.grid)
    moves = [move for actions in P.values() for outcomes in actions.values() for move in outcomes]
    into = {cell: {s for _, s, _, _ in moves if cells[s] == cell} for cell in "HGC"}
    assert len(cells) == len(P)
    assert {s for _, s, _, end in moves if end} == into["H"] | into["G"]
    assert not into["C"]  # who steps into the cliff is back at the start
    assert into["H"] or cells.count("C") == 10
    for s, cell in enumerate(cells):
        if cell not in "HGC":  # it can be entered or is the start
            assert cell == "S" or s in {s2 for _, s2, _, _ in moves}


def test_the_lakes_map_is_in_its_rules():
    lake = environment("FrozenLake-v1")
    assert "\n" + "\n".join(lake.grid) + "\n" in lake.rules
    assert [bytes(row).decode() for row in lake.make().unwrapped.desc] == list(lake.grid)


def test_sentences_say_what_the_numbers_say():
    say = {name: environment(name).describe for name in SHIPPED}
    assert say["FrozenLake-v1"](14) == "You are at row 3, column 2."
    assert say["CliffWalking-v1"](36) == "You are at row 3, column 0."
    assert say["CartPole-v1"](np.array([-0.5, 0.25, -0.1, 1.0])) == (
        "The cart is 0.50 m to the left of the centre, moving at 0.25 m/s to the right. "
        "The pole leans 5.7 degrees to the left and its tip turns at 57.3 degrees/s to the right."
    )
    car = say["MountainCar-v0"](np.array([-0.5, -0.01]))
    assert car == "The car is at -0.500, moving at 0.0100 per step to the left."
    pendulum = say["Pendulum-v1"](np.array([0.0, 1.0, -1.0]))
    assert pendulum == "The pendulum is at 90 degrees, turning clockwise at 57 degrees/s."
    pong = np.array([100, 188, 90, 64, 120, 80, 0, 0, -4, 2])
    ball = "The ball is at x = 120, y = 80, moving by (-4, +2) per action."
    assert say["RepresentedPong-v0"](pong) == f"Your paddle is at y = 100. {ball}"
    pong[4] = 0
    assert say["RepresentedPong-v0"](pong) == "Your paddle is at y = 100. The ball is not in play."


def test_pongs_ball_moves_by_what_lies_between_two_steps():
    episode = play(environment("RepresentedPong-v0").make(), lambda observation: 1, 0)  # it is missed, and served again
    ball, change = episode.observations[:, 4:6], episode.observations[:, 8:]
    in_play = ball.all(1)
    moved = np.where((in_play[1:] & in_play[:-1])[:, None], np.diff(ball, axis=0), 0)
    np.testing.assert_array_equal(change[1:], moved)
    assert not change[0].any() and moved.any() and (np.diff(in_play.astype(int)) < 0).any()


def test_pendulums_actions_are_torques():
    for action, torque in enumerate([-2, -1, 0, 1, 2]):  # at rest upright, only the torque moves it: 3 torque dt
        env = environment("Pendulum-v1").make()
        env.reset(seed=0)
        env.unwrapped.state = np.zeros(2)
        assert env.step(action)[0][2] == pytest.approx(3 * torque * 0.05)


def test_an_unknown_environment_is_named_with_the_choice():
    with pytest.raises(UserError, match=r"'Nonsense-v0' is not an environment.*FrozenLake-v1, CliffWalking-v1"):
        find_environment("Nonsense-v0")
    with pytest.raises(UserError, match=r"'Acrobot-v1' has no description.*FrozenLake-v1, CliffWalking-v1"):
        find_environment("Acrobot-v1")


# Descriptions whose parts do not fit together

LAKE, CART = environment("FrozenLake-v1"), environment("CartPole-v1")
UNLIMITED = partial(gym.make, "CartPole-v1", max_episode_steps=-1)


def unregistered():
    return gym.wrappers.TimeLimit(gym.envs.classic_control.CartPoleEnv(), 200)


def transformed(like, observations=None, actions=None):
    """What makes the environment of the Environment `like` with other spaces."""

    def make():
        env = like.make()
        return gym.wrappers.TransformAction(
            gym.wrappers.TransformObservation(env, lambda s: s, observations or env.observation_space),
            lambda a: a,
            actions or env.action_space,
        )

    return make


def shaped(like, shape):
    """What makes the environment of the Environment `like` with observations of another shape than its space has."""
    space = like.make().observation_space
    return lambda: gym.wrappers.TransformObservation(like.make(), lambda s: s.reshape(shape), space)


def giving(like, method, change):
    """What makes the environment of the Environment `like`, whose reset or step gives what `change` makes of it."""

    def make():
        env = like.make()
        usual = getattr(env, method)
        setattr(env, method, lambda *given, **options: change(*usual(*given, **options)))
        return env

    return {"make": make}


def described(monkeypatch, like, **changes):
    """What `find_environment` makes of such a description."""
    monkeypatch.setitem(envs_text.ENVIRONMENTS, "Odd-v0", lambda name: like._replace(**{"rules": "Play."} | changes))
    return find_environment("Odd-v0")


@pytest.mark.parametrize(
    ("like", "changes", "problem"),
    [
        (CART, {"actions": ("left",)}, r"its action space is Discrete\(2\), not Discrete\(1\) as its actions \('"),
        (CART, {"make": transformed(CART, actions=gym.spaces.Discrete(2, start=1))}, "start=1"),
        (CART, {"make": transformed(CART, actions=gym.spaces.Box(-1, 1, (1,)))}, "its action space is Box"),
        (CART, {"low": None, "high": None}, "its low None and high None do not suit .*; give one of each"),
        (CART, {"low": (-1.0,) * 3}, "give one of each for each number"),
        (CART, {"low": CART.high}, "the low below the high in float32"),
        (CART, {"low": (-np.inf, -3, -1, -3)}, r"none beyond 1e\+12"),
        (CART, {"low": (-3e38,) * 4, "high": (3e38,) * 4}, r"in float32, and none beyond 1e\+12"),
        (CART, {"low": (1e9,) * 4, "high": (1e9 + 1,) * 4}, "the low below the high in float32"),
        (CART, giving(CART, "step", lambda o, *rest: (o[:1], *rest)), r"its step gives .* of shape \(1,\), not \(4,\)"),
        (CART, giving(CART, "step", lambda o, r, ends, *_: (o, r, ends)), r"its step gives \(.*, not .observation"),
        (LAKE, giving(LAKE, "step", lambda *_: None), "its step gives None, not .observation, reward, terminated"),
        (LAKE, giving(LAKE, "step", lambda o, *rest: (16, *rest)), r"its step gives 16, which is not in Discrete.16"),
        (LAKE, giving(LAKE, "step", lambda o, *rest: (0.5, *rest)), "its step gives 0.5, which is not in Discrete"),
        (LAKE, giving(LAKE, "reset", lambda o, info: o), "its reset gives 0, not an observation and a dict"),
        (LAKE, giving(LAKE, "reset", lambda o, info: (-1, info)), "its reset gives -1, which is not in Discrete"),
        (CART, {"make": shaped(CART, (4, 1))}, r"its reset gives an observation of shape \(4, 1\), not \(4,\)"),
        (CART, {"make": transformed(CART, gym.spaces.Box(-1, 1, (2, 2)))}, "numbers; a wrapper can make them so"),
        (CART, {"make": transformed(CART, gym.spaces.Box(-1, 1, (1, 1))), "low": [[-1]], "high": [[1]]}, "or a row of"),
        (CART, {"make": transformed(CART, gym.spaces.Dict({"x": gym.spaces.Discrete(3)}))}, "or a row of numbers"),
        (LAKE, {"low": (0.0,), "high": (15.0,)}, "do not suit .*; give None for both"),
        (LAKE, {"make": transformed(LAKE, gym.spaces.Discrete(16, start=1))}, "not Discrete from 0 on"),
        (CART, {"make": UNLIMITED}, "no step limit; give it to gym.make"),
        (CART, {"make": unregistered}, "no step limit; .* gym.register for a class of your own, as max_episode_steps"),
        (CART, {"make": CART.make()}, "its make and its describe are not both functions"),
        (CART, {"describe": "You are here."}, "its make and its describe are not both functions"),
        (CART, {"make": lambda: None}, "its make returns None, no gymnasium.Env"),
        (CART, {"actions": "lr"}, "its actions are 'lr', not a tuple of texts; is a comma missing"),
        (CART, {"actions": None}, "its actions are None, not a tuple of texts"),
        (CART, {"actions": {"left", "right"}}, "not a tuple of texts"),  # whose order is any
        (LAKE, {"random_std": np.nan}, "not all of these are finite: .*'random_std': nan"),
        (LAKE, {"best_return": np.inf}, "not all of these are finite"),
        (LAKE, {"grid": LAKE.grid[1:]}, "its grid has not one letter a state"),
        (CART, {"grid": LAKE.grid}, "its grid has not one letter a state"),
        (LAKE, {"random_return": None}, "not all of these are finite: .*'random_return': None"),
        (LAKE, {"random_return": "x"}, "not all of these are numbers: .*'random_return': 'x'"),
        (LAKE, {"random_return": 10**400}, "not all of these are numbers"),
        (CART, {"low": ((1.0, 2.0), (3.0,))}, "not all of these are numbers"),
        (LAKE, {"reward_scale": 0}, "its reward_scale is not above 0"),
        (LAKE, {"evaluations": 0}, "its evaluations are 0, not a whole number from 1 on"),
        (LAKE, {"evaluations": 12.0}, "its evaluations are 12.0, not a whole number"),
        (LAKE, {"grid": "SFFFFHFHFFFHHFFG"}, "its grid is not a tuple of rows of one length"),
        (LAKE, {"grid": ("SFFFFHFHFFFHH", "FFG")}, "its grid is not a tuple of rows of one length"),
        (LAKE, {"grid": 5}, "its grid is not a tuple of rows of one length"),
        (LAKE, {"grid": [list(row) for row in LAKE.grid]}, "its grid is not a tuple of rows of one length"),
        (LAKE, {"grid": np.array([list(row) for row in LAKE.grid])}, "its grid is not a tuple of rows of one length"),
        (CART, {"actions": ("1", "0")}, "is empty, or the number of another"),
        (CART, {"actions": ("left", " ")}, "is empty, or the number of another"),
        (CART, {"actions": (0, 1)}, r"of its actions \(0, 1\) one is no text"),
        (CART, {"make": transformed(CART, gym.spaces.Box(0, 1, (4,), bool))}, "or a row of numbers"),
        (CART, {"make": transformed(CART, gym.spaces.Box(0, 1, ())), "low": None, "high": None}, "or a row of numbers"),
        (CART, {"make": partial(lambda env: env, CART.make())}, "its make returns one and the same env each time"),
        (LAKE, {"actions": ("left", "down", "right", "Left")}, "of its actions .* two are the same"),
        (LAKE, {"random_std": -1}, "its random_std is below 0"),
        (LAKE, {"describe": lambda s: None}, "it describes an observation as None, not in words"),
        (LAKE, {"rules": ""}, "it has no rules; give its Environment `rules`"),
        (LAKE, {"rules": None}, "it has no rules"),
        (LAKE, {"rules": " "}, "it has no rules"),
        (LAKE, {"rules": ["Play."]}, "it has no rules"),
        (LAKE, {"make": lambda: gym.make("FrozenCake-v1")}, "`FrozenCake` doesn't exist"),
    ],
)
def test_a_description_whose_parts_do_not_fit_is_refused(monkeypatch, like, changes, problem):
    with pytest.raises(UserError, match=f"Odd-v0: .*{problem}"):
        described(monkeypatch, like, **changes)


@pytest.mark.parametrize("value", [LAKE, lambda name: None, lambda name: LAKE._asdict()])
def test_what_describes_no_environment_is_refused(monkeypatch, value):
    monkeypatch.setitem(envs_text.ENVIRONMENTS, "Odd-v0", value)
    with pytest.raises(UserError, match=r"Odd-v0: .* is not a function that returns an Environment"):
        find_environment("Odd-v0")


def test_numbers_may_be_numpys(monkeypatch):
    arrays = {name: np.array(getattr(CART, name), np.float32) for name in ("low", "high")}
    found = described(monkeypatch, CART, random_return=np.float32(22), best_return=np.float32(200), **arrays)
    assert json.loads(json.dumps(found.numbers()))["random_return"] == 22 and json.dumps(found.best_return) == "200.0"
    assert found.numbers()["low"] == pytest.approx(CART.numbers()["low"])


def test_what_stands_still_moves_to_the_right():  # as the recorded prompts say
    assert environment("MountainCar-v0").describe([-0.5, 0.0]).endswith(" 0.0000 per step to the right.")


def test_no_grid_may_be_none(monkeypatch):
    assert described(monkeypatch, CART, grid=None).grid == ()


# What a reply says

HARMONY = "<|start|>assistant<|channel|>final<|message|>"
THOUGHTS = [("<think>", "</think>"), ("", "</think>"), ("[THINK]", "[/THINK]"), ("<thinking>", "</thinking>\n")]
THOUGHTS += [("<|channel|>analysis<|message|>", "<|end|>" + HARMONY)]
ANSWERS = ["{}", "Action: {}", " {}\n", "{}<|end|>", '{{"action": {}}}', "{}. That is good.", "<answer>{}</answer>"]


@every
def test_every_action_round_trips_through_a_reply(name):
    actions = environment(name).actions
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


@pytest.mark.parametrize(("reply", "action"), [
    ("1. Left is a hole.", 1), ("1\n\nRow 2 is next.", 1), ("2\n\n(left would fall into a hole)", 2),
    ("2\nBecause ...", 2),
    ("[THINK]avoid left[/THINK]2", 2), ("<|channel|>analysis<|message|>Action: 0<|end|>" + HARMONY + "2<|return|>", 2),
    ("<think>Action: 0</think>[THINK]1[/THINK]2", 2), ("Action: 1 ... wait. Action: left", 0), ("2</s>", 2),
    ("I do not like action: 1. Action: 2", 2),
    ("Action: 1\nObservation: You are at row 1, column 0.\nAction: 2", 1), ("1\n\nNext turn:\nAction: 2", 1),
    ("2<|im_end|>", 2), ("2<|eot_id|></s>", 2), ('{"action": 2}', 2), ('```json\n{"action": "right"}\n```', 2),
    ('{"reason": "not left", "action": 2}', 2), ('{"action": 2, "reason": "left is a hole"}', 2), ("Answer: 2", 2),
    ("The answer is: 2", 2), ("**Answer is:** 2", 2), ("The action is: right", 2), ("Action is : 2", 2),
    ("The answer is not: 2", None), (r"\boxed{\text{2}}", 2), ("Action: $2$", 2), (r"Action: \(2\)", 2), ("$2$", 2),
    ("The answer is 2.", 2), ("Final answer: **2**", 2), ("Action 2", 2), ("I choose 2", 2), (r"\boxed{2}", 2),
    (r"So it is $\boxed{2}$.", 2), ("<answer>2</answer>", 2), ("<action> right </action>", 2), ("Action：2", 2),
    ("action=2", 2), ("2 (right)", 2), ("2: right", 2), ("2 = right", 2), ("Action: right (2)", 2), ("Move left.", 0),
    ("I will go to the left!", 0), ("Action: move left", 0), ("2 because left is a hole", 2),
    ("2 - right", 2), ("2. Right", 2), ("Action: 2, right", 2), ("Action: right - 2", 2), ("2. Right is safe.", 2),
    ("Action: 2, left is a hole", 2), ("Action: right (left is a hole)", 2), ("Action: left - right is a hole", 0),
    ("2 (right).\nThe goal is at row 3.", 2), ("2 (right, and 3 later)", 2), ("2\nThe action is safe.", 2),
    ("2\nThis answer is the best one.", 2), ("2) right", 2), ("(2) Go right.", 2), ("Action: 2) right", 2),
    ("I pick 2", 2), ("Option 2", 2), ("I would pick option 2.", 2), ("Action number 2", 2), ("0\nThe action is 2.", 2),
    ("My choice: 2", 2), ("Decision: **2**", 2), ('{"move": 2}', 2), ("My choice is right.", 2),
    ("Action number: 2", 2), ("2\nMy decision: towards the goal.", 2), ("2\nThe point of this move: it is safe.", 2),
    ("Action: 2, no holes there", 2), ("Action: 2, no hole or cliff", 2),
    ("Action: 2\nThe answer is clear.", 2), ("1\nThe best action is to go right.", 2),
    ("Action: **2** (right)", 2), ("**2** - right", 2), ("**2**: right", 2), ("Action: `2` (right)", 2),
    (r"\boxed{2} (right)", 2), ("Action: **right** (2)", 2), ('Action: 2 ("right")', 2), ("Best action is 2", 2),
    ("Action: 2\n\nThe opposite action is left, which leads away.", 2), ("Answer: 1\nThis answer is right.", 1),
    ("Action: 2 (right). The other safe action is 1.", 2), ("**Action: 2**\n\nWhy: the only risky move is up.", 2),
    ("There are no holes on the right, so the best action is 2.", 2), ("No hole is there; action: 2", 2),
    ("There is no hole, the best action is 2", 2), ("To avoid the hole, action: 2", 2),
    ("No hole there - action: 2", 2), ("Action: right (action 2)", 2), ("I am moving right", None),
    ("2\nUser: You are at row 0, column 1.\nAction: 1", 2),
    ("2<|im_end|>\n<|im_start|>user\nAction: 1", 2), ("Action: 2\nAlternative action: 3", None), ("Moving right.", 2),
    ("<thought>Maybe action: 0.</thought>\n2", 2), ("<seed:think>Action: 0</seed:think>2", 2),
    ("<reasoning>Action: 0 is a hole.</reasoning>\n\n2", 2), ("<|START_THINKING|>action: 0<|END_THINKING|>2", 2),
    ("# 2", 2), ("> 2", 2), ("- 2", 2), ("Action: ➡️ right", 2), ("“2”", 2), ("{2}", 2), ("| Action | 2 |", 2),
    (r"$\boxed{\text{Action: } 2}$", 2), ("__Action:__ _2_", 2), ("move_right()", 2), ("Action: '2', 'right'", 2),
    ("2<｜end▁of▁sentence｜>", 2), ("2</s><s>[INST] You are at row 1. [/INST] 1", 2), ("1. 2 is a hole.", 1),
    ("## Answer\n\n2", 2), ("assistant\n\n2", 2), ("I am at row 3, so I should go right.\n\n**2**", 2),
    ("I choose:\n2", 2), ("Step right!\n2 = right", 2),
    ("1. Left is a hole.\n2. Up is a wall.\n\n2 (right)", 2), ("```text\n2\n```", 2),
    ("Move right, since left is a hole.", 2), ("I go right because it is safe.", 2), ("Right, as it is nearer", 2),
    ("Move right to avoid the hole.", 2), ("Action: 2 as left is a hole", 2), ("The best action is 2 as it is safe", 2),
    ('{"reason": "not safe to go down", "best action": 2}', 2), ("I am not sure, but the answer is 2.", 2),
    ("If I go left, I fall. Action: 2", 2), ("If it is ice I slip, so action: 2", 2),
    ("Answer: 2\n\n### Instruction:\nGo on.\n\n### Response: 1", 2), ("1. Left is a hole to avoid.", 1),
    ("2\nQuestion: You are at row 0.\nAnswer: 1", 2), ('{"action": "right", "reason": "if I slip"}', 2),
    ("Action: 2\nAction: right", 2), ("Answer: 2\n\nFinal answer: \\boxed{2}", 2),
    ("I should go right.", 2), ("I'd go right", 2), ("You should move right.", 2), ("Let's go right!", 2), ("2。", 2),
    ("Output: 2", 2), ("Response: right", 2), ("The best move to take is 2.", 2), ("2 → right", 2), ("2，右", 2),
    ("Walk right", 2), ("Here is the last line: `Action: 2`", 2), ("2 - a correction to the right", 2),
    ("2 - it is a no-brainer.", 2), ("Action: 2 (down is a hole)", 2), ("Action: 2. Moving right is safe.", 2),
    ("The recommended action is 2.", 2), ("Action: right - 2", 2), ("2 (right) - 1 is a hole", 2),
    ("I'll go right", 2), ("Action: 2 since left is a hole", 2), ("Best action: 2\nThe correct action is 1", 1),
    ("Left is not safe, thus action: 2", 2), ("<start>2", None), ("2<eos>1", 2),
])  # fmt: skip
def test_what_a_model_means(reply, action):
    assert parse_action(reply, LAKE.actions) == action


@pytest.mark.parametrize("reply", [
    "", "4", "-1", "1.5", "01", "left or right", "You are at row 3", "I move to column 2", "Action: 9", "leftover",
    "<think>1", "٣", "9" * 5000, "Action: " + "1" * 5000, "Action: 1\nAction: 7", "0 1", "Action: 1.5", "left?",
    "<think>left</think>", "Don't move left.", "You should not go up", "I will not go left.", "Action: not 2", "1-2",
    "The answer is not 2.", "Do not choose action: 2", "I'd avoid action: 2. Hm.", "Action: 1 is a bad idea", "1 or 2",
    "Action: 2 or 3", "Action: 2?", "3, 2", "2 m to the right", "0.31 m", "2 down", "1. Go left\n2. Go up",
    "Go left, up", "Either go left", "Action: 2 [cut off]", "2 [cut off]", "[THINK]2",
    "<|channel|>analysis<|message|>Action: 2", "(It answers nothing, but thinks:)\n2",
    "Actions: 0 = left, 1 = down", "Action: left = 1", "<think>So, Action: 2", "[THINK]Action: 2",
    "2\nBecause [cut off]", "2 (right) or 3 (up)", "Action: 2 (right) or 3 (up)", "Answer: 0 (left), 1 (down)",
    "0 = left\n1 = down\n2 = right\n3 = up", "0: left\n1: down", "0 left\n1 down", "0\n1\n2\n3",
    "2) down", "1) Go left\n2) Go up", "1\nThe answer is 2 or 3.", "1\nThe action is 7.", "The action is safe.",
    "(1) left is a hole (2) right is safe", "Action: left, right, or up", "Action: left-right", "Action: right, up",
    "Action: right, no, left", "Action: 2 - no, wait, 3", "2. Actually 3", "Action: right. Sorry, down.",
    "1: move right", "1\nGo right.", "Action: right (action 1)", "2\n\nWait, actually 1 is better.", "2 -> 1",
    "Action: 2\n\nCorrection: 1", "2\n\nOn second thought, 1.", "Best move: right\nWorst move: up",
    "Action: 2\n\nIf the answer is 0, we stay.", "1-step lookahead suggests moving right.", "Action: 2 (or 3)",
    "Action: 2... no, 1", "The worst move is up. Go right.", "**2** (left)", "**0** = left\n**1** = down",
    "<thought>Action: 2", "`0` left\n(`1`) down", "`1`\n`2`",
    "Don't, whatever you do, choose action: 2", "Action: 1. No, wait: the answer is 2", "Action: right (left)",
    "2 (left)", "Action: 2 (left)", "Action: left (1)", "2, left", "Action: right; down",
    "Answer: 3\n\nHmm, that's wrong. It should be 0.", "Answer: 3\nScratch that, 1.", "2.\n\nApologies, I meant 1.",
    "Action: 1. This is wrong. Let me choose 2 instead.", "Action: 1\n\nLet me reconsider. 0 is safer.", "0\n\nNo, 3.",
    "Action: 1\n\nI apologize for the confusion; I choose 2.", "0, I mean 3", "Last action: 3. Now I choose 0",
    "My first thought was action: 3, but 0 is better.", "2\n(down)", "2. It is nearer. Wait, that is a hole.",
    "Action: 2\nThe goal is there. Wait, no: 1", "2 because it is nearer. Actually, 1.",
    "Action: 1 (right, toward the goal)", "2 - wait, that's a hole, so 1.", "Action: right -> down -> down",
    "Action: 2\n2\n1", "Action: 2 (if I slip) or 0 (if not)", "Action: 2, 7", "+1", "Action: 2; 1; 1", "\U00020000",
    "1. The hole is below.\n2. Move right.", "2\nThe goal is near.\n1", "Row 3,\n2", "I go right.\n2 (left)",
    "Action: 0\nAction: 1\nAction: 2\nAction: 3", '{"action": 0}\n{"action": 1}', "Move: left\n\nMove: down",
    "If I slip, action: 2", "When it is ice, the best action is 2", "If I am low the answer is 1; otherwise it is 2.",
    "Example: Action: 2", r"$\boxed{2}$ or $\boxed{1}$", "Action: 1 is safer than Action: 2",
    "I go left or else action: 2", "Action: 3 and action: 2", "Action: 1 (right into the next column)",
    "1 to the right", "The choice is left to me.", "Right, I am at row 0.", "Right to left",
    "(0, 0)", "0,0", "(2, 2). The goal is at (3, 3), so I go down.", "Move to (1, 1).", "Action: go to (2, 2)", "0:0",
    "1, 2 or 3", "Action: left, down or right", "1, 2 and 3 are all safe.", "2, 1 and 1 again", "0 left, 1 down",
    "0,5 m nach rechts", "−1", "Action: −1", "0 -> 1 is safe.", "Action: ≠2", "1. Move right to avoid the hole.",
    "1. The goal is far.\n5. The hole is near.\n\nSo move right.", "Action: 1 (go right along the row)",
    "0: go down first", "Action: right, 7", "Action: left, down and right",
    "2. Sorry, 1.", "Action: 2 (Oops: 1)", "One cannot take action: 2", "The other action: 2", "Of action: 2, 1",
])  # fmt: skip
def test_what_names_no_action_or_leaves_it_open_is_invalid(reply):
    assert parse_action(reply, LAKE.actions) is None


@pytest.mark.parametrize(("sentence", "words", "action"), [
    ("I will {} to the right.", "go, move, choose, pick, select, take, push, turn, step, accelerate, apply, head", 2),
    ("{} right!", "going, moving, pushing, accelerating", 2),
    ("I pick the {} right", "action, option, cart, car, paddle", 2),
    ("The {} answer is 2", "best, safest, correct, right, optimal, final", 2), ("2\nThe {} move is down.", "next", 2),
    ("A {} action: 2", "wrong, bad, unsafe, worst, dangerous, risky, backup, previous, second, following, last", None),
    ("I {} action: 2", "avoid, never take, cannot, go left instead of, go left rather than take, later take", None),
    ("2\n## {}: row 0\nAction: 1", "Human, User, Observation, Question, Input, Instruction, New state", 2),
    ("I go left, and {} action: 2", "after that", None), ("1 (right {} the goal)", "to, toward, towards, along", None),
    ("That is no hole, {} action: 2", "the, my", 2),
    ("Left is not safe {} my action: 2", "so, thus, hence, therefore", 2), ("2. That is {}.", "wrong, incorrect", None),
    ("2\nOn {}, 1", "reflection, second thought", None),
    ("2\nNext {}:\nAction: 1", "turn, step, move, state, position", 2),
    ("2<{}>\nAction: 1", "eos, end_of_turn, /s, |im_end|, |eot_id|, |endoftext|", 2),
    ("{}Action: 1", "<|channel|>, <|START_THINKING|>, [THINK], <think>", None),
    ("Action: 1{}2", "<|channel|>final<|message|>, <|END_THINKING|>, [/THINK], </think>", 2),
])  # fmt: skip
def test_each_word_means_what_it_means(sentence, words, action):
    for word in words.split(", "):
        assert parse_action(sentence.format(word), LAKE.actions) == action, word


@every
def test_recorded_replies_name_the_action_that_was_taken(name):
    for path in (ROOT / "rollouts").glob(f"**/{name}.jsonl"):
        for episode in read_rollouts(path, name, environment(name).make())[1]:
            assert [parse_action(reply, environment(name).actions) for reply in episode.replies] == [*episode.actions]


LONG = ["i ", "move: ", "action is go ", "choice: (", "Action: 2, ", "2\n", "(", "action: ", "<|\n"]


@pytest.mark.parametrize("part", LONG)
def test_a_long_reply_is_read_like_a_short_one(part):  # at once: were its time the length squared, it were minutes
    actions = environment("Pendulum-v1").actions
    for begun in "", "2) ":
        assert parse_action(begun + part * 50_000, actions) == parse_action(begun + part * 20, actions)


def test_the_words_of_an_action_are_words_and_no_pattern():
    actions = ("fold", "raise (all in)", "bet 1.5", "bet 1x5", "c++")
    for i, word in enumerate(actions):
        assert parse_action(f"Action: {word}", actions) == i == parse_action(f"{word}.", actions)


def test_to_wait_is_no_second_thought():
    actions = environment("RepresentedPong-v0").actions
    for reply in "0\n\nThe ball is not in play, so I wait.", "0\nWait for the ball.", "Action: stay (and wait)":
        assert parse_action(reply, actions) == 0
    assert parse_action("0\n\nHmm, wait, 1 is better.", actions) is None


def test_a_longer_name_does_not_name_a_shorter_one():
    actions = environment("Pendulum-v1").actions
    for spelling in "counter-clockwise", "counterclockwise", "Counter clockwise":
        assert parse_action(f"torque 2 {spelling}", actions) == parse_action(f"4 (torque 2 {spelling})", actions) == 4
        assert parse_action(f"Action: 2 (torque 2 {spelling})", actions) is None
        assert parse_action(f"Action: 1 ({spelling})", actions) is None and parse_action(f"3: {spelling}", actions) == 3
    assert parse_action("clockwise", actions) is None
    assert parse_action("Do not accelerate.", environment("MountainCar-v0").actions) == 1


@settings(max_examples=200)
@given(st.sampled_from(SHIPPED), st.booleans(), st.integers(0, 9), st.integers(0, 200), st.data())
def test_a_reply_that_repeats_what_it_was_told_is_invalid(name, reasoning, episode, t, data):
    known, observations = environment(name, reasoning), recorded(name)[1][episode].observations
    sentence = known.describe(observations[t % len(observations)])
    told = [f"{known.rules}\n\n{sentence}", known.rules, sentence, *known.rules.split("\n")]
    told += [sentence.partition(". ")[2], sentence.lower(), f"{sentence} What do I do?", f"> {sentence}"]
    assert parse_action(data.draw(st.sampled_from(told)), known.actions) is None


NEGATED = ["Don't {}", "do not {}.", "You should not go {}", "Never {}!", "I will not choose {}.", "not {}", "Avoid {}"]
NEGATED += ["The answer is not {}", "Action: not {}", "It is wrong to answer: {}", "I would rather not take action: {}"]
MENTIONED = ["{} is a bad idea", "Is it {}?", "If I take {} now", "After {} comes the goal.", "Why not {}?"]
MENTIONED += ["<think>Action: {}</think>", "<think>{}", "[THINK]{}[/THINK]\nHm.", "Action: {}\nNo. Action: unclear"]
MENTIONED += ["Let me think about {}.", "The action {} may be good", "{} [cut off]", "Action: {} [cut off]"]
MENTIONED += ["{} or wait", "Answer: {0} leads to a hole, so avoid action: {0}"]


@settings(max_examples=200)
@given(st.sampled_from(SHIPPED), st.sampled_from(NEGATED + MENTIONED), st.sampled_from(["{}", "**{}**"]), st.data())
def test_a_negated_action_or_a_mere_mention_is_invalid(name, sentence, dress, data):
    actions = environment(name).actions
    action = data.draw(st.integers(0, len(actions) - 1))
    said = data.draw(st.sampled_from([str(action), actions[action], actions[action].upper()]))
    assert parse_action(sentence.format(dress.format(said)), actions) is None


@given(st.sampled_from(SHIPPED), st.text(), st.sampled_from(ANSWERS), st.data())
def test_no_thought_decides(name, thought, answer, data):
    actions, (opened, closed) = environment(name).actions, data.draw(st.sampled_from(THOUGHTS))
    action = data.draw(st.integers(0, len(actions) - 1))
    thoughts = [thought, f"Action: {(action + 1) % len(actions)}", actions[0], f"{thought} <answer>0</answer>"]
    reply = opened + data.draw(st.sampled_from(thoughts)) + closed + answer.format(action)
    assert parse_action(reply, actions) == action


words = st.sampled_from(["left", "up", "no torque", "action", "Action:", "<think>", "</think>", "0", "12", "**", "\n"])


@given(st.text() | st.lists(words).map("".join) | st.lists(words).map(" ".join), st.sampled_from(SHIPPED))
def test_the_parser_returns_an_action_or_none_for_any_text(reply, name):
    actions = environment(name).actions
    action = parse_action(reply, actions)
    assert action is None or (type(action) is int and 0 <= action < len(actions))


@given(st.text(st.characters(exclude_characters="0123456789<>"), max_size=50), st.integers(0, 3))
def test_a_number_in_a_sentence_is_not_an_action(text, number):
    assert parse_action(f"a{text} row {number} b", LAKE.actions) == parse_action(f"a{text} row  b", LAKE.actions)
