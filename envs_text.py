"""The environments in words: how each is made, its rules, observation -> sentence, reply -> action.

`ENVIRONMENTS` maps a name to a function that returns an `Environment`; a new one is one more such function.
"""

import math
import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import gymnasium as gym
import numpy as np

ANSWER = "Answer with the number of one action."
REASONED_ANSWER = "Think about it briefly, then answer with a last line `Action: <number>`."


class Environment(NamedTuple):
    """All that the project knows of one environment.

    make: () -> gymnasium.Env with a Discrete action space and a step limit that holds for every method.
    rules: the system prompt. describe: observation -> one sentence, the user message.
    actions: one word or phrase an action, in the order of their numbers.
    evaluations: the paper's budget. random_return, best_return: mean return of a random policy (measured) and the best
    attainable (exact or planned; None: unknown), by which trust and regret are measured.
    reward_scale: what learners multiply rewards by, so that one conservatism suits every environment.
    low, high: the usual range of each number of a vector observation, which a network sees as -1..1; None for a table.
    grid: the rows of a grid world's map, one letter a state: H hole, C cliff, G goal.
    """

    make: Callable[[], gym.Env]
    rules: str
    describe: Callable[[int | np.ndarray], str]
    actions: tuple[str, ...]
    evaluations: int
    random_return: float
    best_return: float | None
    reward_scale: float
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    grid: tuple[str, ...] = ()


def prose(text):
    """`text` with a line a paragraph: blank lines part paragraphs, and other white space is as good as a space."""
    return "\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def frozen_lake(name, random_return, best_return):
    def make():
        return gym.make(name)

    lake = make()
    grid = tuple("".join(row) for row in lake.unwrapped.desc.astype(str))
    rows, columns = len(grid), len(grid[0])
    start = f"""
        You are crossing a frozen lake on foot. The lake is a {rows}x{columns} grid; rows and columns are counted from 0
        at the top left.
    """
    rest = f"""
        S is the start, F is ice, H is a hole, G is the goal. Stepping into a hole ends the game with reward 0; reaching
        the goal ends it with reward 1. The ice is slippery: you move in the direction you choose with probability 1/3,
        and in each of the two directions perpendicular to it with probability 1/3; you never slip backwards. A move off
        the grid leaves you where you are. The game also ends after {lake.spec.max_episode_steps} moves.

        Actions: 0 = left, 1 = down, 2 = right, 3 = up.
    """
    return Environment(
        make=make,
        rules="\n".join([prose(start), *grid, prose(rest)]),
        describe=lambda s: f"You are at row {s // columns}, column {s % columns}.",
        actions=("left", "down", "right", "up"),
        evaluations=150, random_return=random_return, best_return=best_return, reward_scale=1.0,
        grid=grid,
    )


def cliff_walking(name):
    return Environment(
        make=lambda: gym.make(name, max_episode_steps=200),
        rules=prose("""
            You are walking beside a cliff on a 4x12 grid; rows and columns are counted from 0 at the top left. You
            start at row 3, column 0 and must reach the goal at row 3, column 11. The cliff is row 3, columns 1 to
            10: stepping into it costs 100 and puts you back at the start. Every other step costs 1. A move off the
            grid leaves you where you are. The game ends at the goal or after 200 steps.

            Actions: 0 = up (row - 1), 1 = right (column + 1), 2 = down (row + 1), 3 = left (column - 1).
        """),
        describe=lambda s: f"You are at row {s // 12}, column {s % 12}.",
        actions=("up", "right", "down", "left"),
        evaluations=200, random_return=-2045.0, best_return=-13.0, reward_scale=0.02,
        grid=("............", "............", "............", "SCCCCCCCCCCG"),
    )


def side(x, unit, digits=2):
    return f"{abs(x):.{digits}f} {unit} to the {'right' if x >= 0 else 'left'}"


def cart_pole(name):
    def describe(observation):
        x, v, angle, w = (float(i) for i in observation)
        return (
            f"The cart is {side(x, 'm')} of the centre, moving at {side(v, 'm/s')}. "
            f"The pole leans {side(math.degrees(angle), 'degrees', 1)} "
            f"and its tip turns at {side(math.degrees(w), 'degrees/s', 1)}."
        )

    return Environment(
        make=lambda: gym.make(name, max_episode_steps=200),
        rules=prose("""
            You are balancing a pole on a cart that runs on a track. Each step you push the cart left or right with
            a fixed force for 0.02 seconds. Each step gives reward 1. The game ends when the pole leans more than 12
            degrees, when the cart is more than 2.4 m from the centre of the track, or after 200 steps.

            Actions: 0 = push left, 1 = push right.
        """),
        describe=describe,
        actions=("left", "right"),
        evaluations=150, random_return=22.4, best_return=200.0, reward_scale=0.15,
        low=(-2.4, -3.0, -0.21, -3.0), high=(2.4, 3.0, 0.21, 3.0),
    )


def mountain_car(name):
    def describe(observation):
        position, v = observation
        return f"The car is at {position:.3f}, moving at {abs(v):.4f} per step to the {'right' if v >= 0 else 'left'}."

    return Environment(
        make=lambda: gym.make(name),
        rules=prose("""
            You are driving a car in a valley between two hills. The position runs from -1.2 (left end, a wall) to
            0.6; the bottom of the valley is at -0.52 and the flag is at 0.5, on the right hill. The engine is too
            weak to climb the right hill from rest. Each step costs 1 until you reach the flag; the game also ends
            after 200 steps.

            Actions: 0 = accelerate left, 1 = do not accelerate, 2 = accelerate right.
        """),
        describe=describe,
        actions=("left", "do not accelerate", "right"),
        evaluations=300, random_return=-200.0, best_return=-97.7, reward_scale=0.3,
        low=(-1.2, -0.07), high=(0.6, 0.07),
    )


def pendulum(name):
    torques = np.array([-2.0, -1.0, 0.0, 1.0, 2.0], dtype=np.float32)

    def make():
        return gym.wrappers.TransformAction(
            gym.make(name), lambda i: torques[[int(i)]], gym.spaces.Discrete(len(torques))
        )

    def describe(observation):
        cosine, sine, speed = (float(i) for i in observation)
        return (
            f"The pendulum is at {math.degrees(math.atan2(sine, cosine)):.0f} degrees, turning "
            f"{'counter-clockwise' if speed >= 0 else 'clockwise'} at {abs(math.degrees(speed)):.0f} degrees/s."
        )

    return Environment(
        make=make,
        rules=prose("""
            You are swinging up a pendulum, a rod that turns about one end, and then holding it upright. Its angle
            is measured from upright: 0 degrees is upright, 180 degrees is hanging down, positive angles are
            counter-clockwise. Gravity pulls it away from upright, and the strongest torque is too weak to lift it
            from hanging in one go. Each step lasts 0.05 seconds and costs angle^2 + 0.1 * speed^2 + 0.001 *
            torque^2, in radians. The game lasts 200 steps.

            Actions: 0 = torque 2 clockwise, 1 = torque 1 clockwise, 2 = no torque, 3 = torque 1 counter-clockwise,
            4 = torque 2 counter-clockwise.
        """),
        describe=describe,
        actions=("torque 2 clockwise", "torque 1 clockwise", "no torque", "torque 1 counter-clockwise",
                 "torque 2 counter-clockwise"),
        evaluations=200, random_return=-1214.0, best_return=-137.4, reward_scale=0.03,
        low=(-1.0, -1.0, -8.0), high=(1.0, 1.0, 8.0),
    )


class RepresentedPong(gym.Wrapper):
    """Pong seen through eight RAM cells and the ball's change since the last step; actions stay, up, down.

    The cells, in this order: player_y, player_x, enemy_y, enemy_x, ball_x, ball_y, enemy_score, player_score
    (AtariARI, Anand et al. 2019). The change is 0 unless the ball was in play (x and y both non-zero) at both steps.
    """

    CELLS = (51, 46, 50, 45, 49, 54, 13, 14)

    def __init__(self, env):
        super().__init__(env)
        self.action_space = gym.spaces.Discrete(3)
        self.observation_space = gym.spaces.Box(-255, 255, (10,), np.float32)

    def see(self, ram):
        cells = ram.take(self.CELLS).astype(np.float32)
        ball = cells[4:6]
        change = ball - self.ball if ball.all() and self.ball.all() else np.zeros(2, np.float32)
        self.ball = ball
        return np.concatenate([cells, change])

    def reset(self, **options):
        ram, info = self.env.reset(**options)
        self.ball = np.zeros(2, np.float32)
        return self.see(ram), info

    def step(self, action):
        ram, *rest = self.env.step((0, 2, 3)[action])
        return self.see(ram), *rest


def pong(name):
    def make():
        import ale_py  # imported here, since only Pong needs it

        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        gym.register_envs(ale_py)
        return RepresentedPong(
            gym.make("ALE/Pong-v5", obs_type="ram", frameskip=4, repeat_action_probability=0.25, max_episode_steps=200)
        )

    def describe(observation):
        player_y, _, _, _, ball_x, ball_y, _, _, dx, dy = (int(i) for i in observation)
        if ball_x == 0 or ball_y == 0:
            return f"Your paddle is at y = {player_y}. The ball is not in play."
        ball = f"The ball is at x = {ball_x}, y = {ball_y}, moving by ({dx:+d}, {dy:+d}) per action."
        return f"Your paddle is at y = {player_y}. {ball}"

    return Environment(
        make=make,
        rules=prose("""
            You are playing Pong. Your paddle is on the right edge of the screen and moves only up and down; the
            opponent's is on the left. x grows to the right, y grows downwards. You gain 1 point when the opponent
            misses the ball and lose 1 when you miss it. An action is held for 4 frames, and now and then the
            previous action is repeated instead; a held up or down moves your paddle about 20 units a step, and it
            drifts on a little after you stop. The ball reaches your paddle at x = 188, meets it where the two y
            agree to about 8 units, and bounces off the walls at y = 44 and y = 204. The game ends after 200
            actions.

            Actions: 0 = stay, 1 = up, 2 = down.
        """),
        describe=describe,
        actions=("stay", "up", "down"),
        evaluations=200, random_return=-3.35, best_return=None, reward_scale=0.75,
        low=(48, 187, 0, 63, 60, 40, -5, -5, -4, -9), high=(201, 189, 206, 65, 200, 207, 5, 5, 4, 9),
    )


ENVIRONMENTS = {
    "FrozenLake-v1": partial(frozen_lake, random_return=0.014, best_return=0.744),
    "FrozenLake8x8-v1": partial(frozen_lake, random_return=0.001, best_return=0.913),
    "CliffWalking-v1": cliff_walking,
    "CartPole-v1": cart_pole,
    "MountainCar-v0": mountain_car,
    "Pendulum-v1": pendulum,
    "RepresentedPong-v0": pong,
}


def find_environment(name, reasoning=False):
    """The `Environment` called `name`; its rules ask for an action alone, or for reasoning first.

    Raises ValueError, saying what there is, if it has no description.
    """
    if name in ENVIRONMENTS:
        environment = ENVIRONMENTS[name](name)
        return environment._replace(rules=f"{environment.rules} {REASONED_ANSWER if reasoning else ANSWER}")
    problem = "has no description in words" if name in gym.registry else "is not an environment known here"
    raise ValueError(f"{name!r} {problem}; choose one of {', '.join(ENVIRONMENTS)}")


def parse_action(reply, actions):
    """The number of the action that `reply` names, or None if it names none or leaves it open.

    Reasoning in <think>...</think> is dropped. The last "Action: <number>" counts; else a reply that is one number;
    else a reply that names exactly one of `actions` by its word. Never a number from the middle of a sentence.
    """
    answer = re.sub(r"<think>.*?</think>|^.*</think>|<think>.*", " ", reply, flags=re.DOTALL | re.IGNORECASE)
    numbers = {str(i): i for i in range(len(actions))}
    marked = re.findall(r"\baction[\s*_`]*[:=][\s*_`<(\[]*([0-9]+)(?!\.?[0-9])", answer, flags=re.IGNORECASE)
    if marked:
        return numbers.get(marked[-1])
    alone = answer.strip(" \t\r\n.,!*_`'\"()[]")
    if alone in numbers:
        return numbers[alone]
    named = [i for i, word in enumerate(actions) if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", answer, re.I)]
    return named[0] if len(named) == 1 else None
