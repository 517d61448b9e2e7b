"""The environments in words: rules, sentences; and what is said of them, computed anew."""

import itertools
import json
import re
import sys
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from helpers import SHIPPED, best_return, environment, recorded

import envs_text
from envs_text import find_environment
from episodes import play
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


def later(change, like=LAKE):
    """Likewise of its step, but of the second alone."""

    def make():
        env, steps = like.make(), itertools.count(1)
        usual = env.step
        env.step = lambda action: change(*usual(action)) if next(steps) == 2 else usual(action)
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
        (CART, {"low": (-np.inf, -3, -1, -3)}, r"not all of these are numbers up to 1e\+12"),
        (CART, {"low": (-3e38,) * 4, "high": (3e38,) * 4}, r"not all of these are numbers up to 1e\+12"),
        (CART, {"low": (1e9,) * 4, "high": (1e9 + 1,) * 4}, "the low below the high in float32"),
        (CART, giving(CART, "step", lambda o, *rest: (o[:1], *rest)), r"the observation \[.*\] is not \(4,\) finite"),
        (CART, giving(CART, "step", lambda o, r, ends, *_: (o, r, ends)), r"its step none of 5: not enough values"),
        (LAKE, giving(LAKE, "step", lambda *_: None), "its step none of 5: cannot unpack .*None"),
        (CART, giving(CART, "step", lambda o, r, *rest: (o, [r], *rest)), r"the reward \[1.0\] is no finite number"),
        (CART, giving(CART, "step", lambda o, r, *rest: (o, None, *rest)), "the reward None is no finite number"),
        (LAKE, giving(LAKE, "step", lambda o, r, *rest: (o, "1", *rest)), "the reward '1' is no finite number"),
        (LAKE, giving(LAKE, "step", lambda o, *rest: (16, *rest)), "the observation 16 is not in Discrete.16"),
        (LAKE, giving(LAKE, "step", lambda o, *rest: (0.5, *rest)), "the observation 0.5 is not in Discrete.16"),
        (LAKE, giving(LAKE, "reset", lambda o, info: o), "its reset gives no tuple of 2, .* cannot unpack"),
        (LAKE, giving(LAKE, "reset", lambda o, info: (-1, info)), "the observation -1 is not in Discrete.16"),
        (CART, {"make": shaped(CART, (4, 1))}, r"the observation [\s\S]* is not \(4,\) finite"),
        (CART, {"make": transformed(CART, gym.spaces.Box(-1, 1, (2, 2)))}, "numbers; a wrapper can make them so"),
        (CART, {"make": transformed(CART, gym.spaces.Box(-1, 1, (1, 1))), "low": [[-1]], "high": [[1]]}, "or a row of"),
        (CART, {"make": transformed(CART, gym.spaces.Dict({"x": gym.spaces.Discrete(3)}))}, "or a row of numbers"),
        (LAKE, {"low": (0.0,), "high": (15.0,)}, "do not suit .*; give None for both"),
        (LAKE, {"make": transformed(LAKE, gym.spaces.Discrete(16, start=1))}, "not Discrete from 0 on"),
        (LAKE, {"make": transformed(LAKE, gym.spaces.Discrete(10**9))}, "not Discrete from 0 on, at most ten million"),
        (CART, {"make": UNLIMITED}, "no step limit; give it to gym.make"),
        (CART, {"make": unregistered}, "no step limit; .* gym.register for a class of your own, as max_episode_steps"),
        (CART, {"make": CART.make()}, "its make and its describe are not both functions"),
        (CART, {"describe": "You are here."}, "its make and its describe are not both functions"),
        (CART, {"make": lambda: None}, "its make returns None, no gymnasium.Env"),
        (CART, {"actions": "lr"}, "its actions are 'lr', not a tuple of texts; is a comma missing"),
        (CART, {"actions": None}, "its actions are None, not a tuple of texts"),
        (CART, {"actions": {"left", "right"}}, "not a tuple of texts"),  # whose order is any
        (LAKE, {"random_std": np.nan}, r"not all of these are numbers up to 1e\+12: .*'random_std': nan"),
        (LAKE, {"best_return": np.inf}, "not all of these are numbers up to"),
        (LAKE, {"reward_scale": 1e13}, "not all of these are numbers up to"),
        (LAKE, {"best_return": [1.0]}, r"not all of these are numbers up to .*'best_return': \[1.0\]"),
        (LAKE, {"random_std": np.array([0.1])}, "not all of these are numbers up to"),
        (LAKE, {"grid": LAKE.grid[1:]}, "its grid has not one letter a state"),
        (CART, {"grid": LAKE.grid}, "its grid has not one letter a state"),
        (LAKE, {"grid": ("." * 10, "." * 6)}, "its grid has not .* in rows of one length"),
        (LAKE, {"random_return": None}, "not all of these are numbers up to .*'random_return': None"),
        (LAKE, {"random_return": "x"}, "not all of these are numbers up to .*'random_return': 'x'"),
        (LAKE, {"random_return": 10**400}, "not all of these are numbers"),
        (CART, {"low": ((1.0, 2.0), (3.0,))}, "not all of these are numbers"),
        (LAKE, {"reward_scale": 0}, "its reward_scale is not above 0"),
        (LAKE, {"evaluations": 0}, "its evaluations are 0, not a whole number from 1 on"),
        (LAKE, {"evaluations": 12.0}, "its evaluations are 12.0, not a whole number"),
        (CART, {"actions": ("1", "0")}, "one has the name or the number of another"),
        (CART, {"actions": ("left", "Left")}, "one has the name or the number of another"),
        (CART, {"actions": ("left", " ")}, r"of its actions .* one is no text, or empty"),
        (LAKE, later(lambda o, *rest: (16, *rest)), "the observation 16 is not in Discrete.16"),
        (LAKE, later(lambda o, *rest: (-1, *rest)), "the observation -1 is not in Discrete.16"),
        (LAKE, later(lambda o, *rest: (1.0, *rest)), "the observation 1.0 is not in Discrete.16"),
        (LAKE, later(lambda o, r, *rest: (o, None, *rest)), "the reward None is no finite number"),
        (LAKE, later(lambda o, r, *rest: (o, np.inf, *rest)), "the reward inf is no finite number"),
        (LAKE, later(lambda o, r, *rest: (o, "much", *rest)), "the reward 'much' is no finite number"),
        (CART, later(lambda o, *rest: (o[:1], *rest), CART), r"the observation \[.*\] is not \(4,\) finite"),
        (LAKE, later(lambda o, r, *rest: (o, np.float16(np.inf), *rest)), "the reward .*inf.* is no finite number"),
        (LAKE, later(lambda o, r, *rest: (o, np.int64(-(2**63)), *rest)), "the reward .* is no finite number"),
        (CART, later(lambda o, *rest: (o * np.nan, *rest), CART), r"the observation \[nan .*\] is not \(4,\) finite"),
        (LAKE, {"describe": lambda s: None}, "describes an observation as None, not in words"),
        (CART, {"actions": (0, 1)}, r"of its actions \(0, 1\) one is no text"),
        (CART, {"make": transformed(CART, gym.spaces.Box(0, 1, (4,), bool))}, "or a row of numbers"),
        (CART, {"make": transformed(CART, gym.spaces.Box(0, 1, ())), "low": None, "high": None}, "or a row of numbers"),
        (CART, {"make": partial(lambda env: env, CART.make())}, "its make returns one and the same env each time"),
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


def test_a_package_that_is_missing_is_told_in_a_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(UserError, match=r"RepresentedPong-v0: import of ale_py halted"):
        find_environment("RepresentedPong-v0")


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


def test_the_last_observation_need_not_be_told_in_words(monkeypatch):
    words = {s: "You are on the ice." for s in range(16) if LAKE.grid[s // 4][s % 4] in "SF"}  # none in a hole
    assert described(monkeypatch, LAKE, describe=lambda s: words[int(s)])


def unpacked(observation):
    x, v = observation
    return f"{x} {v}"


def test_a_fault_of_ones_own_description_is_not_laid_at_the_environments_door(monkeypatch):
    with pytest.raises(ValueError, match=r"^too many values to unpack"):
        described(monkeypatch, CART, describe=unpacked)


def test_no_grid_may_be_none(monkeypatch):
    assert not described(monkeypatch, CART, grid=None).grid


def without_words():
    raise AssertionError


@pytest.mark.filterwarnings("ignore:.*old step API")
def test_what_gymnasium_itself_finds_wrong_is_told_in_a_line(monkeypatch):
    class Odd(gym.Env):
        observation_space, action_space = gym.spaces.Discrete(16), gym.spaces.Discrete(4)

        def reset(self, *, seed=None, options=None):
            return 0, None

        def step(self, action):
            return 0, 0.0, True, {}  # as before Gym 0.26

    class Older(Odd):
        def reset(self, *, seed=None, options=None):
            return 0, {}

    spec = gym.envs.registration.EnvSpec("Older-v0", Older, max_episode_steps=5)
    monkeypatch.setitem(gym.registry, "Older-v0", spec)
    with pytest.raises(UserError, match=r"^Odd-v0: its reset gives .*, or its step none of 5: not enough values"):
        described(monkeypatch, LAKE, make=lambda **options: gym.make("Older-v0"))
    monkeypatch.setitem(gym.registry, "Core-v0", gym.envs.registration.EnvSpec("Core-v0", Odd, max_episode_steps=5))
    with pytest.raises(UserError, match=r"^Odd-v0: .*was not a dictionary"):
        described(monkeypatch, LAKE, make=lambda **options: gym.make("Core-v0"))
    with pytest.raises(UserError, match=r"^Odd-v0: AssertionError\(\)"):
        described(monkeypatch, LAKE, make=without_words)


def test_what_stands_still_moves_to_the_right():  # as the recorded prompts say
    assert environment("MountainCar-v0").describe([-0.5, 0.0]).endswith(" 0.0000 per step to the right.")
