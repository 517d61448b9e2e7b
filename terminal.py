"""What a person sees: the moving status line, the table of methods with their curves, the policy as arrows."""

import sys

import numpy as np

BARS = "▁▂▃▄▅▆▇█"
ARROWS = {"up": "↑", "down": "↓", "left": "←", "right": "→"}


def status(text=""):
    """Replaces the status line on stderr by `text`; says nothing where stderr is not a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def curve(returns, low, high, width=40):
    """`returns` as at most `width` bars, each the mean of its share of them, from `low` to `high`."""
    means = np.array([part.mean() for part in np.array_split(returns, min(width, len(returns)))])
    levels = (means - low) / (high - low or 1) * (len(BARS) - 1)
    return "".join(BARS[level] for level in levels.round().astype(int).clip(0, len(BARS) - 1))


def table(results, best_return):
    """The lines of a table: a row a method, with the mean over its seeds of what it earned.

    results: {method: array (seeds, evaluations) of returns}. best_return: a float, or None if unknown.
    """
    means = np.array([returns.mean(0) for returns in results.values()])
    low, high = means.min(), means.max()
    lines = [f"{'method':<12} {'cumulative reward':>17} {'regret':>9}   return per evaluation, {low:g} to {high:g}"]
    for method, returns in results.items():
        total = returns.sum(1).mean()
        regret = "unknown" if best_return is None else f"{best_return * returns.shape[1] - total:,.1f}"
        lines.append(f"{method:<12} {total:>17,.1f} {regret:>9}   {curve(returns.mean(0), low, high)}")
    return lines


def arrows(grid, actions, policy):
    """The lines of a map: at each walkable cell of `grid` the arrow of the action that `policy` (one a cell) takes."""
    marks = iter(policy)
    steps = [[(cell, ARROWS[actions[next(marks)]]) for cell in row] for row in grid]
    return [" ".join(cell if cell in "HGC" else arrow for cell, arrow in row) for row in steps]
