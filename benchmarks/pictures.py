"""The pictures of docs/walkthrough.md, in docs/pictures: `python benchmarks/pictures.py` (a minute or two; matplotlib).

Colours are readable by the colour-blind (Okabe & Ito 2008; cividis), lines differ in their dashes as well.
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import terminal
from agents import make_agent
from agents.replay import ReplayBuffer
from envs_text import find_environment
from episodes import read_rollouts, transitions
from loro import METHODS, Settings, run

BLUE, ORANGE = "#0072B2", "#D55E00"


def recorded(env_name, folder="rollouts"):
    environment = find_environment(env_name)
    return environment, read_rollouts(ROOT / folder / f"{env_name}.jsonl", env_name, environment.make())[1]


def pretrained(env_name, updates, imitate, every):
    """Yields (how many updates, the learner, or the clone) while it learns from the LLM's episodes, each `every`."""
    environment, episodes = recorded(env_name)
    env, rng, settings = environment.make(), np.random.default_rng(0), Settings(1)
    agent = make_agent(env, environment, settings, rng)
    replay = ReplayBuffer(10_000, env.observation_space, transitions(episodes))
    yield 0, agent
    for update in range(1, updates + 1):
        agent.update(replay.sample(settings.batch_size, rng), imitate)
        if update % every == 0:
            yield update, agent


def lake():
    """The table on FrozenLake's map: a triangle for each action, brighter the more it is worth, a dot on the best."""
    environment, episodes = recorded("FrozenLake-v1")
    seen = {int(s) for episode in episodes for s in episode.observations[:-1]}
    stages = [("before", 0, False), ("the learner, pre-trained", 1000, False), ("the clone", 10_000, True)]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = figure.subplots(1, 3)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])  # x and y, downwards: top left, top right, ...
    sides = {0: (3, 0), 1: (2, 3), 2: (1, 2), 3: (0, 1)}  # left, down, right, up
    for panel, (title, updates, imitate) in zip(panels, stages):
        *_, (_, agent) = pretrained("FrozenLake-v1", updates, imitate, 1000)
        low, high = (agent.q.min(), agent.q.max()) if imitate else (0, 0.8)
        for s, a in product(range(16), range(4)):
            here, letter = np.array([s % 4, s // 4]), "".join(environment.grid)[s]
            if letter in "HG":
                panel.text(*(here + 0.5), letter, ha="center", va="center")
                continue
            triangle = np.array([*(here + corners[list(sides[a])]), here + 0.5])
            drawn = panel.tripcolor(*triangle.T, [[0, 1, 2]], [agent.q[s, a]], vmin=low, vmax=high, cmap="cividis")
            if s in seen and a == agent.q[s].argmax() and updates:
                panel.plot(*triangle.mean(0), "o", color="white", markeredgecolor="black", markersize=5)
        panel.set(title=title, xlim=(-0.02, 4.02), ylim=(4.02, -0.02), xticks=[], yticks=[], aspect="equal")
        panel.hlines(range(5), 0, 4, "white", linewidth=2)
        panel.vlines(range(5), 0, 4, "white", linewidth=2)
        figure.colorbar(drawn, ax=panel, label="Q(s, a)" if updates else None, shrink=0.7)
    return figure


def extrapolation():
    """What MountainCar's learner expects in the LLM's states, of the LLM's actions and of all others."""
    _, episodes = recorded("MountainCar-v0")
    steps = [np.arange(len(each.actions))[::-1] for each in episodes]
    truth = -np.mean((1 - 0.99 ** (np.concatenate(steps) + 1)) / 0.01)  # each step costs 1, to the flag
    s, a = (np.concatenate(x) for x in zip(*((each.observations[:-1], each.actions) for each in episodes)))
    expected = []
    for update, agent in pretrained("MountainCar-v0", 5000, False, 100):
        q = agent.online.forward(agent.scaled(s))[0] / agent.reward_scale
        did = np.arange(q.shape[1]) == a[:, None]
        expected.append((update, q[did].mean(), np.where(did, -np.inf, q).max(1).mean()))
    updates, its, others = zip(*expected)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    panel = figure.subplots()
    panel.axhline(truth, color="black", label="what came of the LLM's actions")
    panel.plot(updates, its, color=BLUE, ls="--", label="what the learner expects of them")
    panel.plot(updates, others, color=ORANGE, ls="-.", label="of the best of the others")
    panel.set(xlabel="updates of pretraining", ylabel="discounted return")
    figure.legend(loc="outside right center", frameon=False)
    return figure


def trust():
    """MountainCar with a good teacher and with a bad one: the return and trust, evaluation by evaluation."""
    settings = Settings(150)
    figure = Figure(figsize=(9, 4), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    teachers = ("Claude", "rollouts", BLUE, "-"), ("SmolLM2", "rollouts/smollm2-135m", ORANGE, "--")
    for name, folder, colour, dashes in teachers:
        environment, episodes = recorded("MountainCar-v0", folder)
        found, _ = run(environment, METHODS["loro-plus"], settings, 0, episodes)
        for panel, values in zip(panels, (found["returns"], found["trust"])):
            panel.plot(range(1, settings.evaluations + 1), values, color=colour, ls=dashes, label=f"taught by {name}")
    for panel, what in zip(panels, ("return", "trust")):
        panel.axvspan(0.5, 10.5, color="0.9", zorder=0)
        panel.set(ylabel=what, xlim=(0.5, settings.evaluations + 0.5))
    panels[0].legend(loc="lower right", frameon=False)
    panels[-1].set(xlabel="evaluation (grey: the LLM's episodes)")
    return figure


def main():
    terminal.Parser(description="Draws the pictures of docs/walkthrough.md.").parse_args()
    for draw in lake, extrapolation, trust:
        draw().savefig(ROOT / "docs/pictures" / f"{draw.__name__}.png", dpi=90)


if __name__ == "__main__":
    terminal.guard(main, "pictures.py")
