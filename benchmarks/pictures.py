"""A picture of docs/walkthrough.md, docs/pictures/lake.png: `python benchmarks/pictures.py` (it needs matplotlib).

Its colours are readable by the colour-blind (cividis)."""

import sys
from pathlib import Path

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parent.parent))

import terminal
from benchmarks import ROOT, recorded
from loro import METHODS, Settings, run


def lake(figure):
    """The table on FrozenLake's map: a triangle for each action, brighter the more it is worth, a dot on the best."""
    environment, _, episodes = recorded("FrozenLake-v1")
    letters = np.array(list("".join(environment.grid)))
    x, y = np.arange(16) % 4, np.arange(16) // 4
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]])  # clockwise from the top left; the middle
    actions = corners[[[3, 0, 4], [2, 3, 4], [1, 2, 4], [0, 1, 4]]]  # left, down, right, up
    triangles = np.stack([x, y], 1)[:, None, None] + actions  # (states, actions, corners, 2)
    walked = ~np.isin(letters, ["H", "G"])
    stages = ("before", "loro", 0), ("the learner, pre-trained", "loro", 1000), ("the clone", "clone", 0)
    for panel, (title, method, updates) in zip(figure.subplots(1, 3), stages):
        _, agent = run(environment, METHODS[method], Settings(11, pretrain_updates=updates), 0, episodes)
        shown = PolyCollection(np.concatenate(triangles[walked]), cmap="cividis", edgecolors="white")
        shown.set(array=agent.q[walked].ravel(), clim=(0, 0.8) if method == "loro" else None)
        figure.colorbar(panel.add_collection(shown), ax=panel, label="Q(s, a)", shrink=0.8)
        best = triangles[range(16), agent.q.argmax(1)].mean(1)[walked]
        if title != "before":
            panel.plot(*best.T, "o", color="white", markeredgecolor="black", markersize=5)
        for s in np.flatnonzero(~walked):
            panel.text(x[s] + 0.5, y[s] + 0.5, letters[s], ha="center", va="center")
        panel.set(title=title, xlim=(0, 4), ylim=(4, 0), xticks=[], yticks=[], aspect="equal")


def main():
    terminal.Parser(description="Draws a picture of docs/walkthrough.md.").parse_args()
    figure = Figure(figsize=(9, 3.3), layout="constrained")
    lake(figure)
    figure.savefig(ROOT / "docs/pictures/lake.png", dpi=90)


if __name__ == "__main__":
    terminal.guard(main, "pictures.py")
