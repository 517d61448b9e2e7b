"""What a person types and sees: options, the moving status line, the table of methods, the policy as arrows."""

import argparse
import inspect
import os
import re
import shutil
import signal
import sys
import traceback
from contextlib import suppress
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import numpy as np

from files import UserError, check_writable, json_object, need

BARS = "▁▂▃▄▅▆▇█"
ARROWS = {"up": "↑", "down": "↓", "left": "←", "right": "→"}
FIGURES = (".png", ".svg", ".pdf")


def guard(main, name):
    """Runs `main`. A UserError, OSError or MemoryError becomes one line on stderr and exit code 2, Ctrl-C one line and
    an end by its signal, which a shell calls 130. All else is a fault: its traceback, and 1."""
    signal.signal(signal.SIGINT, stop)
    sys.stdout, sys.stderr = (each or open(os.devnull, "w") for each in (sys.stdout, sys.stderr))  # noqa: SIM115
    sys.stdout.reconfigure(errors="replace")  # arrows and bars, on a terminal that has none
    try:
        main()
        return sys.stdout.flush()  # not later: the pipe may be broken
    except KeyboardInterrupt:
        code, problem = 130, "stopped; what is finished is kept"
    except (UserError, OSError, MemoryError) as error:
        if isinstance(error, BrokenPipeError) and Path("/dev/stdout").is_fifo():
            os._exit(141)  # `| head` has seen enough; so a shell calls an end by SIGPIPE
        code, problem = 2, printable(str(error) or type(error).__name__)
    except Exception:
        code, problem = 1, traceback.format_exc()
    with suppress(OSError):  # nobody may read it any more: of `2>&1 | tee log` Ctrl-C ends both
        status()
        print(f"{name}: {problem}\n", end="", file=sys.stderr, flush=True)  # at once: runs side by side share it
        sys.stdout.flush()
    if code == 130:
        os.kill(os.getpid(), signal.SIGINT)  # else the loop of a shell would go on
    os._exit(code)  # at once: `sys.exit` would wait for threads that wait for a server


def stop(*_):
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends at once
    raise KeyboardInterrupt


def printable(text):
    """`text` in one line, without what steers a terminal, whoever wrote it."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def status(*texts, log=False):
    """Replaces the status line on stderr by `texts`; where stderr is no terminal, writes only what is for the `log`."""
    text = printable(" ".join(texts))
    if sys.stderr.isatty():
        shown = text[: shutil.get_terminal_size().columns - 1]
        print(f"\r\x1b[K\x1b[?7l{shown}\x1b[?7h", end="", file=sys.stderr, flush=True)  # wide letters do not wrap
    elif log:
        print(text, file=sys.stderr, flush=True)


class Parser(argparse.ArgumentParser):
    """Raises UserError where argparse would print its usage and exit."""

    def error(self, message):
        raise UserError(f"{message}; see --help")


def number(kind, least, most=1_000_000):
    """The type of an option that takes a number of `kind`, int or float, from `least` to `most`."""

    def convert(text):
        with suppress(ValueError):
            if least <= kind(text) <= most:
                return kind(text)
        what = "whole number" if kind is int else "number"
        raise UserError(f"{text!r} is not a {what} from {least} to {most}")

    return convert


def writable(*suffixes):
    """The type of an option that takes a file to write, with one of those suffixes; FIGURES need matplotlib."""

    def convert(text):
        need(Path(text).suffix in suffixes, f"{text!r} is no {' or '.join(suffixes)}")
        check_writable(Path(text))
        if suffixes == FIGURES:
            os.environ["MPLBACKEND"] = "agg"  # no screen is needed, and a notebook's is not there for others
            need(find_spec("matplotlib"), "it needs matplotlib; pip install matplotlib")
        return Path(text)

    return convert


def some_text(text):
    """The type of an option that takes a text."""
    need(text.strip(), "it is empty; is a variable not set?")
    return text


def add_fields(parser, title, fields):
    """An option for each field of the NamedTuple `fields`, by its name; the comment beside it is its help."""
    group, helps = parser.add_argument_group(title), comments(fields)
    for name, kind in fields.__annotations__.items():
        forms = {
            bool: {"action": argparse.BooleanOptionalAction},
            int: {"type": number(int, 0 if name.endswith("_updates") else 1), "metavar": "N"},
            float: {"type": number(float, 0, 10 if name == "temperature" else 1), "metavar": "X"},
            tuple[int, ...]: {"type": number(int, 1), "metavar": "N", "nargs": "+"},
            dict | None: {"type": json_object, "metavar": "JSON"},
            str: {"type": some_text},
            str | None: {"type": some_text},
        }
        option, default = "--" + name.replace("_", "-"), fields._field_defaults.get(name)
        if isinstance(default, tuple):
            default = " ".join(map(str, default))  # as it is typed
        told = helps.get(name, "") + ("" if default is None else f" ({default})")
        group.add_argument(option, default=argparse.SUPPRESS, help=told.replace("%", "%%"), **forms[kind])


def comments(fields):
    """{name: the comment beside it} of each field and each row of a table in the module of a NamedTuple, `fields`."""
    source = inspect.getsource(inspect.getmodule(fields))
    return dict(re.findall(r'^    "?([\w-]+)"?: .*?[ \t]# (.*)$', source, re.MULTILINE))


def parse(methods, settings, asking, arguments=None):
    """The command line: all options, a Namespace; as dicts, which fields of `settings` and of `asking` are given.
    Raises UserError for what makes no sense."""
    helps = comments(settings)  # and of `methods`, a table in the same module
    parser = Parser(
        description="LORO: an LLM plays a few episodes, a learner goes on from them.",
        epilog="\n".join(["methods:", *(f"  {name:<12} {helps.get(name, '')}" for name in methods)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual = "loro-plus loro online"
    add = parser.add_argument
    add("--env", required=True, help="an environment of envs_text.py, or your own MODULE:NAME")
    add("--method", nargs="+", choices=methods, default=usual.split(), metavar="NAME", help=f"see below ({usual})")
    add("--seed", type=number(int, 0), default=0, help="the first seed (%(default)s)")
    add("--seeds", type=number(int, 1), default=1, help="how many seeds (%(default)s)")
    add("--out", type=some_text, default="results", help="folder of result files (%(default)s)")
    add("--figure", type=writable(*FIGURES), metavar="FILE", help=f"draw the curves ({', '.join(FIGURES)})")
    add("--resume", action="store_true", help="skip the runs whose results are there")
    add("--rollouts", type=Path, help="file of the LLM's episodes (rollouts/ENV.jsonl)")
    add("--reasoning", action="store_true", help="tell the LLM to think before it answers")
    add_fields(parser, "to ask a server; the episodes go to --rollouts, or rollouts/ENV-MODEL.jsonl", asking)
    add_fields(parser, "the budget and all hyperparameters", settings)
    options = parser.parse_args(arguments)
    options.method, options.out = list(dict.fromkeys(options.method)), Path(options.out)  # each method once
    given = {name: value for name, value in vars(options).items() if name in settings._fields}
    asked = {name: value for name, value in vars(options).items() if name in asking._fields}
    if options.reasoning:
        asked.setdefault("max_tokens", 2048)
    if asked and not {"model", "base_url"} & asked.keys():
        raise UserError("there is no server to ask; give --base-url and --model, or leave out the options for one")
    if asked and not any(methods[name].data == "llm" for name in options.method):
        raise UserError(f"{', '.join(options.method)} asks no server; leave out the options for one")
    return options, given, asked


def rounded(number, places=1):
    """`number` as text, with so many decimals; never -0.0."""
    return f"{round(float(number), places) + 0.0:,.{places}f}"  # NumPy's own would round 108.65 + 1e-14 down


def curve(returns, low, high, width):
    """`returns` as at most `width` bars, each the mean of its share of them, from `low` or less to `high` or more."""
    means = np.array([part.mean() for part in np.array_split(returns, min(width, len(returns)))])
    levels = (1 - (high - means) / (high - low or 1)) * (len(BARS) - 1)  # so a curve that is flat is at the top
    return "".join(BARS[level] for level in levels.round().clip(0, len(BARS) - 1).astype(int))


def table(returns, best_return, columns=80):
    """The lines of a table, `columns` wide: a row a method, with the mean over its seeds of what it earned.

    returns: {method: array (seeds, evaluations)}. best_return: a float, or None if unknown. The curves' scale leaves
    out the worst tenth of all points and the best twentieth, which would flatten the rest, unless it is all alike."""
    means = {method: each.mean(0) for method, each in returns.items()}
    points, wide = np.array([*means.values()]), max(map(len, ["method", *means]))
    low, high = np.quantile(points, 0.1), np.quantile(points, 0.95, method="higher")
    low, high = (low, high) if low < high else (points.min(), points.max())
    if low == high and best_return is not None:
        high = max(high, best_return)  # all alike: at the top only if nothing is better
    places = ",.0f" if high - low >= 100 else ".4g"
    below, above = "≤" if points.min() < low else "", "≥" if high < points.max() else ""
    row = "{:<{}} {:>17} {:>10} {:>11}   ".format
    head = row("method", wide, "cumulative reward", "mean", "regret")
    lines = [f"{head}{below}{low:{places}} to {above}{high:{places}}"]
    room = max(1, columns - len(head))
    for method, mean in means.items():
        regret = "unknown" if best_return is None else rounded(best_return * len(mean) - mean.sum())
        figures = row(method, wide, rounded(mean.sum()), rounded(mean.mean(), 2), regret)
        lines.append(figures + curve(mean, low, high, room))
    return lines


def arrows(environment, agent):
    """The lines of a map: at each walkable cell of a grid world the arrow of the action that `agent` takes there."""
    cells = "".join(environment.grid)
    words = np.array(environment.actions)[agent.values(np.arange(len(cells))).argmax(1)]
    marks = [cell if cell in "HGC" else ARROWS.get(word, word[0]) for cell, word in zip(cells, words)]
    return [" ".join(row) for row in np.reshape(marks, (len(environment.grid), -1))]


def show(environment, results, folder):
    """Prints what `results`, (result, agent) of each run, tell: the table of methods, how far each trusted its clone,
    in a grid world what each one's first agent does in each cell; and the `folder` of all."""
    status()
    columns, returns, trusts, maps = shutil.get_terminal_size().columns, {}, {}, []
    for name, runs in groupby(results, lambda run: run[0]["method"]):
        kept, (agent, *_) = zip(*runs)
        returns[name] = np.array([result["returns"] for result in kept])
        if kept[0].get("trust"):
            trusts[name] = np.mean([result["trust"] for result in kept], axis=0)
        if environment.grid and agent and agent.updates:
            maps.append([f"{name}, seed {kept[0]['seed']}", *arrows(environment, agent)])
    lines = table(returns, environment.best_return, columns)
    for name, trust in trusts.items():
        lines.append(f"{name} trusted its clone: {trust[0]:.2f} at first, {trust[-1]:.2f} at the end")
    if trusts and not any(trust[0] for trust in trusts.values()):
        lines.append("The LLM does not beat random play beyond doubt, so its clone is not trusted.")
    wide = max((len(line) for each in maps for line in each), default=0) + 3
    across = max(1, columns // wide)
    for start in range(0, len(maps), across):
        lines.append("" if start else "\nthe greedy policy of")
        lines += ["".join(f"{part:<{wide}}" for part in row).rstrip() for row in zip(*maps[start : start + across])]
    print("\n".join([*lines, "", printable(f"Each run is kept in {folder}.")]))
