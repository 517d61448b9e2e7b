"""What a person types and sees: options, the moving status line, the table of methods, the policy as arrows."""

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np

BARS = "▁▂▃▄▅▆▇█"
ARROWS = {"up": "↑", "down": "↓", "left": "←", "right": "→"}


class Parser(argparse.ArgumentParser):
    """Raises ValueError where argparse would print its usage and exit."""

    def error(self, message):
        raise ValueError(f"{message}; see --help")


def whole(least, most=1_000_000):
    """The type of an option that takes a whole number, from `least` to `most`."""

    def parse(text):
        if not text.isdecimal() or len(text) > 9 or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def weight(text):
    """The type of an option that takes a number, from 0 to 1000."""
    value = float(text)
    if not 0 <= value <= 1_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1000")
    return value


def parse(arguments, methods, defaults):
    """The options of the command line, as an argparse.Namespace. Raises ValueError for what makes no sense."""
    parser = Parser(prog="loro.py", description="LORO: an LLM plays a few episodes, a learner goes on from them.")
    add = parser.add_argument
    add("--env", required=True, help="a Gymnasium environment with a description in envs_text.py")
    add("--method", nargs="+", choices=methods, default=["loro", "online"], help="one or more (loro online)")
    add("--seed", type=whole(0), default=0, help="the first seed (%(default)s)")
    add("--seeds", type=whole(1), default=1, help="how many seeds (%(default)s)")
    add("--evaluations", type=whole(1), help="budget of a run (the paper's, by environment)")
    add("--rollouts", type=Path, help="file of LLM episodes (rollouts/ENV.jsonl)")
    add("--llm-episodes", type=whole(1), default=defaults["llm_episodes"], help="how many of them (%(default)s)")
    add("--pretrain-steps", type=whole(0), default=defaults["pretrain_steps"], help="updates (%(default)s)")
    add("--conservatism", type=weight, default=defaults["conservatism"], help="alpha (%(default)s)")
    add("--out", type=Path, default=Path("results"), help="folder of result files (%(default)s)")
    server = parser.add_argument_group("ask a server; its episodes are kept in --rollouts, or rollouts/ENV-MODEL.jsonl")
    add = server.add_argument
    add("--base-url", help="of an OpenAI-compatible server, to /v1 (OPENAI_BASE_URL)")
    add("--model", help="the name of one of its models")
    add("--temperature", type=weight, default=0.0, help="0 for the likeliest answers (%(default)s)")
    add("--concurrency", type=whole(1), default=10, help="episodes at once (%(default)s)")
    add("--votes", type=whole(1), default=1, help="answers to each prompt, of which the majority acts (%(default)s)")
    add("--reasoning", action="store_true", help="let the model think before it answers")
    add("--max-tokens", type=whole(1), default=2048, help="the longest answer (%(default)s)")
    return parser.parse_args(arguments)


def status(text=""):
    """Replaces the status line on stderr by `text`; says nothing where stderr is not a terminal."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        print(f"\r\x1b[K{text[: width - 1]}", end="", file=sys.stderr, flush=True)


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
    head = f"{'method':<12} {'cumulative reward':>17} {'mean':>9} {'regret':>9}"
    lines = [f"{head}   return per evaluation, {low:.4g} to {high:.4g}"]
    for method, returns in results.items():
        total = returns.sum(1).mean()
        regret = "unknown" if best_return is None else f"{best_return * returns.shape[1] - total:,.1f}"
        mean = total / returns.shape[1]
        lines.append(f"{method:<12} {total:>17,.1f} {mean:>9,.2f} {regret:>9}   {curve(returns.mean(0), low, high)}")
    return lines


def arrows(grid, actions, policy):
    """The lines of a map: at each walkable cell of `grid` the arrow of the action that `policy` (one a cell) takes."""
    marks = iter(policy)
    steps = [[(cell, ARROWS[actions[next(marks)]]) for cell in row] for row in grid]
    return [" ".join(cell if cell in "HGC" else arrow for cell, arrow in row) for row in steps]


def show(environment, outcomes):
    """Prints the table of methods and, for a grid world, what the first seed of each would do in each cell."""
    lines = table(
        {name: np.array([o["returns"] for o in runs]) for name, runs in outcomes.items()}, environment.best_return
    )
    for name, runs in outcomes.items():
        if "policy" in runs[0]:
            lines += ["", f"{name}, seed {runs[0]['seed']}: the greedy policy"]
            lines += arrows(environment.grid, environment.actions, runs[0]["policy"])
    print("\n".join(lines))
