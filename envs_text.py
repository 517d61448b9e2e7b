"""The environments in words: how each is made, observation -> sentence. Their rules stand in rules/.

`ENVIRONMENTS` maps a name to a function that returns an `Environment`; a new one is one more such function."""

import importlib
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from episodes import play
from files import LARGEST, UserError, need

RULES = Path(__file__).parent / "rules"
ANSWER = "Answer with the number of one action."
REASONED_ANSWER = "Think about it briefly, then answer with a last line `Action: <number>`."


class Environment(NamedTuple):
    """All that the project knows of one environment."""

    make: Callable[..., gym.Env]  # a new one, of Discrete actions, with a step limit for all; options go to gym.make
    describe: Callable[[int | np.ndarray], str]  # observation -> the sentence that follows the rules in a prompt
    actions: tuple[str, ...]  # a word or phrase for each, in the order of their numbers
    evaluations: int  # the paper's budget
    random_return: float  # the mean return of a random policy, measured, by which trust is judged
    random_std: float  # the standard deviation of its returns, measured
    best_return: float | None  # the best attainable mean return, from which regret is measured; None: unknown
    reward_scale: float  # what learners multiply rewards by: 0.2 / mean |reward| of a step of random play, at most 1
    low: tuple[float, ...] | None = None  # the usual minimum of each number of a vector observation; None for a table
    high: tuple[float, ...] | None = None  # their usual maximum; a network sees low..high as -1..1
    grid: tuple[str, ...] = ()  # the rows of a grid world's map, one letter a state: H hole, C cliff, G goal
    rules: str | None = None  # what the LLM is told first; the project's own stand in rules/NAME.txt

    def numbers(self):
        """{field: value} of the numbers that a learner's results depend on."""
        return {name: getattr(self, name) for name in ("random_return", "random_std", "reward_scale", "low", "high")}


def check(environment):
    """Raises UserError, saying what to change, where the parts of an Environment do not fit together, or an episode of
    random play, told in words, fails."""
    make, actions, rules, budget = environment.make, environment.actions, environment.rules, environment.evaluations
    low, high = environment.low, environment.high
    need(callable(make) and callable(environment.describe), "its make and its describe are not both functions")
    env = make()
    need(isinstance(env, gym.Env), f"its make returns {env!r}, no gymnasium.Env")
    need(env is not make(), "its make returns one and the same env each time; make a new one")
    need(isinstance(actions, tuple | list), f"its actions are {actions!r}, not a tuple of texts; is a comma missing?")
    space, choice, n = env.observation_space, env.action_space, len(actions)
    playable = isinstance(choice, gym.spaces.Discrete) and (choice.start, choice.n) == (0, n)
    need(playable, f"its action space is {choice}, not Discrete({n}) as its actions {actions}")
    texts = all(isinstance(word, str) and word.strip() for word in actions)
    need(texts, f"of its actions {actions} one is no text, or empty")
    clear = all(not word.isdecimal() or word == str(i) for i, word in enumerate(actions))
    clear = clear and len({word.lower() for word in actions}) == n
    need(clear, f"of its actions {actions} one has the name or the number of another")
    if isinstance(space, gym.spaces.Discrete):
        valid, wanted, fit = space.start == 0 and space.n <= 1e7, "None for both", low is high is None
    else:
        valid = len(space.shape or ()) == 1 and np.issubdtype(space.dtype, np.number)
        wanted = "one of each for each number, the low below the high in float32"
        fit = valid and np.shape(low) == np.shape(high) == space.shape and np.less(*np.float32([low, high])).all()
    readable = "Discrete from 0 on, at most ten million, or a row of numbers; a wrapper can make them so"
    need(valid, f"its observations are {space}, not {readable}")
    need(fit, f"its low {low} and high {high} do not suit its observations, {space}; give {wanted}")
    limit = env.spec and env.spec.max_episode_steps
    need(limit, "no step limit; give it to gym.make, or to gym.register for a class of your own, as max_episode_steps")
    need(environment.reward_scale > 0, "its reward_scale is not above 0")
    need(isinstance(rules, str) and rules.strip(), "it has no rules; give its Environment `rules`")
    need(type(budget) is int and budget > 0, f"its evaluations are {budget!r}, not a whole number from 1 on")
    widths = [len(row) for row in environment.grid or ()]
    whole = sum(widths) in (0, getattr(space, "n", 0)) and len(set(widths)) <= 1
    need(whole, "its grid has not one letter a state, in rows of one length")
    rng = np.random.default_rng(0)
    try:
        episode = play(env, lambda observation: rng.integers(n), seed=0)
    except (TypeError, ValueError) as error:
        need("unpack" not in str(error), f"its reset gives no tuple of 2, or its step none of 5: {error}")
        raise
    for sentence in map(environment.describe, episode.observations[:-1]):  # nobody is told of the last
        need(isinstance(sentence, str), f"it describes an observation as {sentence!r}, not in words")


def frozen_lake(name):
    return Environment(
        make=lambda **options: gym.make(name, **options),
        describe=lambda s: f"You are at row {s // 4}, column {s % 4}.",
        actions=("left", "down", "right", "up"),
        evaluations=150, random_return=0.014, random_std=0.12, best_return=0.744, reward_scale=1.0,
        grid=("SFFF", "FHFH", "FFFH", "HFFG"),
    )


def cliff_walking(name):
    return Environment(
        make=lambda **options: gym.make(name, max_episode_steps=200, **options),
        describe=lambda s: f"You are at row {s // 12}, column {s % 12}.",
        actions=("up", "right", "down", "left"),
        evaluations=200, random_return=-2045.0, random_std=666.0, best_return=-13.0, reward_scale=0.02,
        grid=("............", "............", "............", "SCCCCCCCCCCG"),
    )


def side(x, unit, digits=2):
    return f"{abs(x):.{digits}f} {unit} to the {'right' if x >= 0 else 'left'}"


def cart_pole(name):
    def describe(observation):
        x, v, angle, w = observation
        return (
            f"The cart is {side(x, 'm')} of the centre, moving at {side(v, 'm/s')}. "
            f"The pole leans {side(math.degrees(angle), 'degrees', 1)} "
            f"and its tip turns at {side(math.degrees(w), 'degrees/s', 1)}."
        )

    return Environment(
        make=lambda **options: gym.make(name, max_episode_steps=200, **options),
        describe=describe,
        actions=("left", "right"),
        evaluations=150, random_return=22.4, random_std=11.8, best_return=200.0, reward_scale=0.2,
        low=(-2.4, -3.0, -0.21, -3.0), high=(2.4, 3.0, 0.21, 3.0),
    )


def mountain_car(name):
    def describe(observation):
        position, v = observation
        return f"The car is at {position:.3f}, moving at {side(v, 'per step', 4)}."

    return Environment(
        make=lambda **options: gym.make(name, **options),
        describe=describe,
        actions=("left", "do not accelerate", "right"),
        evaluations=300, random_return=-200.0, random_std=0.0, best_return=-97.7, reward_scale=0.2,
        low=(-1.2, -0.07), high=(0.6, 0.07),
    )


def pendulum(name):
    torques = np.array([-2.0, -1.0, 0.0, 1.0, 2.0], dtype=np.float32)

    def make(**options):
        env, actions = gym.make(name, **options), gym.spaces.Discrete(len(torques))
        return gym.wrappers.TransformAction(env, lambda i: torques[[int(i)]], actions)

    def describe(observation):
        cosine, sine, speed = observation
        angle, way = math.degrees(math.atan2(sine, cosine)), "counter-clockwise" if speed >= 0 else "clockwise"
        return f"The pendulum is at {angle:.0f} degrees, turning {way} at {abs(math.degrees(speed)):.0f} degrees/s."

    return Environment(
        make=make,
        describe=describe,
        actions=("torque 2 clockwise", "torque 1 clockwise", "no torque", "torque 1 counter-clockwise",
                 "torque 2 counter-clockwise"),
        evaluations=200, random_return=-1214.0, random_std=278.0, best_return=-137.4, reward_scale=0.03,
        low=(-1.0, -1.0, -8.0), high=(1.0, 1.0, 8.0),
    )


def pong(name):
    cells = [51, 46, 50, 45, 49, 54, 13, 14]  # player y, x; enemy y, x; ball x, y; scores (AtariARI, Anand et al. 2019)
    seen, actions = gym.spaces.Box(-255, 255, (10,), np.float32), gym.spaces.Discrete(3)

    def represent(last_two):
        """The cells of the RAM, and by how much the ball has moved since the step before: 0 unless in play at both."""
        before, now = last_two[:, cells].astype(np.float32)
        in_play = before[4:6].all() and now[4:6].all()
        return np.append(now, (now - before)[4:6] * in_play)

    def make(**options):
        import ale_py  # imported here, since only Pong needs it

        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        gym.register_envs(ale_py)
        options |= {"obs_type": "ram", "frameskip": 4, "repeat_action_probability": 0.25, "max_episode_steps": 200}
        env = gym.wrappers.FrameStackObservation(gym.make("ALE/Pong-v5", **options), 2, padding_type="zero")
        env = gym.wrappers.TransformObservation(env, represent, seen)
        return gym.wrappers.TransformAction(env, lambda i: (0, 2, 3)[i], actions)  # ALE's NOOP, RIGHT (up), LEFT (down)

    def describe(observation):
        player_y, _, _, _, ball_x, ball_y, _, _, dx, dy = (int(i) for i in observation)
        in_play = ball_x != 0 and ball_y != 0
        ball = f"at x = {ball_x}, y = {ball_y}, moving by ({dx:+d}, {dy:+d}) per action" if in_play else "not in play"
        return f"Your paddle is at y = {player_y}. The ball is {ball}."

    return Environment(
        make=make,
        describe=describe,
        actions=("stay", "up", "down"),
        evaluations=200, random_return=-3.35, random_std=0.77, best_return=None, reward_scale=1.0,
        low=(48, 187, 0, 63, 60, 40, -5, -5, -4, -9), high=(201, 189, 206, 65, 200, 207, 5, 5, 4, 9),
    )


ENVIRONMENTS = {
    "FrozenLake-v1": frozen_lake,
    "CliffWalking-v1": cliff_walking,
    "CartPole-v1": cart_pole,
    "MountainCar-v0": mountain_car,
    "Pendulum-v1": pendulum,
    "RepresentedPong-v0": pong,
}


def own_environments(module):
    """The ENVIRONMENTS of a module, imported from the working directory or the path. Raises UserError without them."""
    wrong = f"{module!r} is no module with ENVIRONMENTS"
    named = all(map(str.isidentifier, module.split("."))) and not module.endswith(".py")
    need(named, f"{wrong}: give the name of one, such as my_games")
    if sys.path[0] != os.getcwd():
        sys.path.insert(0, os.getcwd())  # first, as for any script that lies there
    try:
        found = importlib.import_module(module)
    except (ImportError, SyntaxError, SystemExit) as error:
        raise UserError(f"{wrong}: {str(error) or 'it ends Python'}") from None
    known = getattr(found, "ENVIRONMENTS", None)
    need(known and isinstance(known, dict), f"{wrong}, a dict that is not empty; the one that is found is {found}")
    return known


def find_environment(name, reasoning=False):
    """The `Environment` called `name`: one of ENVIRONMENTS or, as MODULE:NAME, of those in a module of one's own.

    Its rules end by asking for an action alone or, with `reasoning`, for thoughts before it. Raises UserError, saying
    what there is or what to change, if none is called so or if its parts do not fit together."""
    module, colon, own = name.rpartition(":")
    known = own_environments(module) if colon else ENVIRONMENTS
    problem = "has no description in words" if own in gym.registry else "is not an environment known here"
    choice = ", ".join(f"{module}{colon}{each}" for each in known)
    need(own in known, f"{name!r} {problem}; choose one of {choice}, or your own MODULE:NAME")
    environment = known[own](own) if callable(known[own]) else None
    need(isinstance(environment, Environment), f"{name}: its value is not a function that returns an Environment")
    given = environment.numbers() | {"best_return": environment.best_return}  # of Python's types or NumPy's
    rows = "low", "high"
    unknown = [field for field in (*rows, "best_return") if given[field] is None]
    try:
        numbers = {field: np.array(x, float) for field, x in given.items() if field not in unknown}
        fine = all((abs(x) <= LARGEST).all() and (not x.shape or field in rows) for field, x in numbers.items())
    except (TypeError, ValueError, OverflowError):
        fine = False
    need(fine, f"{name}: not all of these are numbers up to {LARGEST:g}: {given}")
    environment = environment._replace(**{field: x.tolist() for field, x in numbers.items()})
    if environment.rules is None and (path := RULES / f"{own}.txt").is_file():
        environment = environment._replace(rules=path.read_text(encoding="utf-8").strip())
    try:
        check(environment)
    except (UserError, gym.error.Error, ImportError, AssertionError) as error:  # the last is of Gymnasium's own checks
        raise UserError(f"{name}: {str(error) or repr(error)}") from None
    return environment._replace(rules=f"{environment.rules} {REASONED_ANSWER if reasoning else ANSWER}")
