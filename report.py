"""From result files to a table and a figure: `python report.py results`; several folders stand side by side.

It reads result files alone: FOLDER/ENV/METHOD-SEED.json as `loro.py --out FOLDER` writes them, or a whole study that
`--pack` has put in one compressed file. A row of the table is one method in one environment and folder.
"""

import gzip
import json
import sys
import zlib
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from terminal import Parser

RESAMPLES = 10_000
LAST = 30  # evaluations: how well a learner plays in the end
WINDOW = 10  # evaluations, over which a curve is smoothed to see when it arrives
BIN = 5  # evaluations to a point of the figure
NEAR = 0.05  # of the best attainable return: closer than this it has arrived
# Colours that colour-blind readers tell apart (Okabe & Ito 2008), and a dash pattern each for print.
STYLES = [("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."), ("#CC79A7", ":"), ("#E69F00", "--"), ("#56B4E9", "-")]


def read(place):
    """The results in `place`, a folder or a packed file: a list of dicts. Raises ValueError for what is no result."""
    if place.is_dir():
        texts = [(path, path.read_bytes()) for path in sorted(place.glob("*/*.json"))]
    elif place.is_file():
        try:
            with gzip.open(place) as file:
                texts = [(f"{place}, line {i}", line) for i, line in enumerate(file, 1)]
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{place} is not a packed study, or a damaged one: {error}") from None
    else:
        raise ValueError(f"there is no {place}; give a folder that loro.py wrote to, or a packed study")
    results = []
    for where, text in texts:
        try:
            result = {"folder": place.name, **json.loads(text)}
            returns = np.array(result["returns"], float)
            whole = len(returns) == result["config"]["evaluations"] and np.isfinite(returns).all()
            whole = whole and {"env", "method", "seed", "llm_episodes", "best_return", "model"} <= result.keys()
        except (ValueError, KeyError, TypeError, RecursionError):
            whole = False
        if not whole:
            raise ValueError(f"{where}: not a whole result; move it away and run that seed again")
        results.append(result)
    if not results:
        raise ValueError(f"{place} holds no results")
    return results


def group(results):
    """{env: {row's name: its runs, by seed}}. A row is named by its method, and by its folder if that is not the first.

    Raises ValueError if the runs of a row were not made alike, or the rows of an environment differ in length.
    """
    rows = {}
    for result in results:
        elsewhere = result["folder"] != results[0]["folder"]
        name = f"{result['method']}, {result['folder']}" if elsewhere else result["method"]
        rows.setdefault(result["env"], {}).setdefault(name, []).append(result)
    for env, methods in rows.items():
        for name, runs in methods.items():
            runs.sort(key=lambda run: run["seed"])
            for a, b in pairwise(runs):
                where = f"{env}, {name}: seeds {a['seed']} and {b['seed']}"
                if a["seed"] == b["seed"]:
                    raise ValueError(f"{where} are the same; give each run once")
                if a["config"] != b["config"]:
                    fields = a["config"].keys() | b["config"].keys()
                    unlike = ", ".join(sorted(f for f in fields if a["config"].get(f) != b["config"].get(f)))
                    raise ValueError(f"{where} differ in {unlike}; keep them in folders of their own")
        lengths = {runs[0]["config"]["evaluations"]: name for name, runs in methods.items()}
        if len(lengths) > 1:
            unlike = ", ".join(f"{name} {evaluations}" for evaluations, name in lengths.items())
            raise ValueError(f"{env}: runs of unlike length cannot be compared, evaluations: {unlike}")
    return rows


def curves(runs):
    """Their returns, of shape (seeds, evaluations)."""
    return np.array([run["returns"] for run in runs])


@cache
def resamples(n):
    """How often each of n is drawn in n draws with replacement, as a share: (RESAMPLES, n)."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n


def interval(samples):
    """The 95% bootstrap interval of the mean over the first axis, by percentiles (Efron 1979): (low, high)."""
    return np.quantile(resamples(len(samples)) @ samples, [0.025, 0.975], axis=0)


def regret(runs, start=0, evaluations=None):
    """What the mean run falls short of the best attainable, over its evaluations or some of them."""
    part = curves(runs)[:, start:][:, :evaluations]
    return runs[0]["best_return"] * part.shape[1] - part.sum(1).mean()


def arrival(runs):
    """The first evaluation (from 1) at which the mean of the learner's last ten, over all seeds, is within 5% of the
    best attainable; None if there is none. The LLM's own do not count."""
    best, tau, mean = runs[0]["best_return"], runs[0]["llm_episodes"], curves(runs).mean(0)
    for end in range(tau + WINDOW, len(mean) + 1):
        if mean[end - WINDOW : end].mean() >= best - NEAR * abs(best):
            return end
    return None


def table(rows):
    """The lines of the Markdown table of `group`'s rows."""
    yield (
        "| environment | method | seeds | cumulative reward | 95% interval | regret | online's / its "
        f"| after the LLM, its / online's | last {LAST} | within {NEAR:.0%} of best at |"
    )
    yield "| --- | --- " + "| ---: " * 8 + "|"
    for env, methods in rows.items():
        online = methods.get("online")
        for name, runs in methods.items():
            returns, first, tau = curves(runs), runs[0], runs[0]["llm_episodes"]
            low, high = interval(returns.sum(1))
            cells = [env, name, len(runs), f"{returns.sum(1).mean():,.1f}", f"{low:,.1f} to {high:,.1f}"]
            if first["best_return"] is None:
                cells += ["unknown", "", ""]
            else:
                cells += [f"{regret(runs):,.1f}", "", ""]
                if online and runs is not online:
                    cells[-2] = ratio(regret(online), regret(runs))
                    if 0 < tau < returns.shape[1]:
                        own = returns.shape[1] - tau
                        cells[-1] = ratio(regret(runs, tau), regret(online, 0, own))
            cells.append(f"{returns[:, -LAST:].mean():,.2f}")
            cells.append("" if first["best_return"] is None else arrival(runs) or "never")
            yield f"| {' | '.join(map(str, cells))} |"


def overview(rows):
    """The lines of a shorter Markdown table: regret and its interval, a row a method and a column an environment."""
    best = {env: next(iter(methods.values()))[0]["best_return"] for env, methods in rows.items()}
    known = {env: methods for env, methods in rows.items() if best[env] is not None}
    yield f"| method | {' | '.join(known)} |"
    yield "| --- " + "| ---: " * len(known) + "|"
    for name in dict.fromkeys(name for methods in known.values() for name in methods):
        cells = [name]
        for env, methods in known.items():
            if name in methods:
                returns = curves(methods[name])
                high, low = best[env] * returns.shape[1] - interval(returns.sum(1))
                cells.append(f"{regret(methods[name]):,.1f} ({low:,.1f} to {high:,.1f})")
            else:
                cells.append("")
        yield f"| {' | '.join(cells)} |"


def ratio(a, b):
    return f"{a / b:.2f}" if b > 0 else "no regret left"


def gaps(rows):
    """A line for each environment and set of seeds that some of its rows lack and others have."""
    seeds = {run["seed"] for methods in rows.values() for runs in methods.values() for run in runs}
    for env, methods in rows.items():
        lacking = {}
        for name, runs in methods.items():
            lacking.setdefault(tuple(sorted(seeds - {run["seed"] for run in runs})), []).append(name)
        for missing, names in lacking.items():
            if missing:
                found = f"{len(seeds) - len(missing)} of {len(seeds)} seeds"
                yield f"{env}: {'; '.join(names)}: {found}; missing {', '.join(map(str, missing))}"


def draw(rows):
    """The figure, a matplotlib Figure: a panel an environment, the mean of each method with its interval, a point for
    every five evaluations.

    A panel reaches down to all but the worst twentieth of each method's points: a bad start would flatten the rest.
    """
    from matplotlib.figure import Figure  # here, since all else does without it

    names = list(dict.fromkeys(name for methods in rows.values() for name in methods))
    styles = dict(zip(names, STYLES * len(names)))
    across = min(3, len(rows))
    down = -(-len(rows) // across)
    figure = Figure(figsize=(4 * across, 2.8 * down + 0.4), layout="constrained")
    for i, (env, methods) in enumerate(rows.items(), 1):
        panel, bottom, top = figure.add_subplot(down, across, i), [], []
        for name, runs in methods.items():
            returns, best, (colour, dashes) = curves(runs), runs[0]["best_return"], styles[name]
            starts = np.arange(0, returns.shape[1], BIN)
            points = np.add.reduceat(returns, starts, axis=1) / np.diff([*starts, returns.shape[1]])
            x, (low, high) = starts + (BIN + 1) / 2, interval(points)
            panel.plot(x, points.mean(0), dashes, color=colour, linewidth=1.5, label=name)
            panel.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
            bottom.append(np.quantile(low, 0.05))
            top.append(high.max())
        if best is not None:
            top.append(best)
            panel.axhline(best, color="black", linewidth=0.8, label="best attainable")
        taught = next((runs[0] for runs in methods.values() if runs[0]["llm_episodes"]), None)
        if taught:
            llm, tau = np.mean(taught["returns"][: taught["llm_episodes"]]), taught["llm_episodes"]
            panel.axhline(llm, color="black", linewidth=1, linestyle=(0, (1, 2)), label="the LLM's mean")
            panel.axvspan(0.5, tau + 0.5, color="grey", alpha=0.2, linewidth=0, label="the LLM's episodes")
        margin = 0.05 * (max(top) - min(bottom)) or 1.0
        panel.set(title=env, xlim=(0.5, returns.shape[1] + 0.5), xlabel="evaluation", ylabel="return")
        panel.set_ylim(min(bottom) - margin, max(top) + margin)
        panel.spines[["top", "right"]].set_visible(False)
    legend = {label: line for panel in figure.axes for line, label in zip(*panel.get_legend_handles_labels())}
    figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=6, frameon=False)
    return figure


def main():
    parser = Parser(prog="report.py", description="The table and the figure of a study.")
    add = parser.add_argument
    add("places", nargs="+", type=Path, metavar="FOLDER", help="folders that loro.py wrote to, or packed studies")
    add("--methods", nargs="+", help="show these alone")
    add("--overview", action="store_true", help="print the regrets alone, an environment a column")
    add("--figure", type=Path, help="draw the figure into this file: .png, .svg, .pdf")
    add("--pack", type=Path, help="write all results into this one file, gzip-compressed JSON Lines")
    options = parser.parse_args()
    results = [result for place in options.places for result in read(place)]
    order = list(dict.fromkeys(options.methods or [result["method"] for result in results]))
    known = sorted({result["method"] for result in results})
    if not set(order) <= set(known):
        raise ValueError(f"no result is of {', '.join(sorted(set(order) - set(known)))}; there are {', '.join(known)}")
    chosen = [result for result in results if result["method"] in order]
    rows = group(sorted(chosen, key=lambda result: order.index(result["method"])))
    if options.pack:
        lines = "".join(json.dumps(result) + "\n" for result in results)
        part = options.pack.with_name(options.pack.name + ".part")  # so that the study is there whole, or as it was
        part.write_bytes(gzip.compress(lines.encode(), mtime=0))
        part.replace(options.pack)
    print("\n".join((overview if options.overview else table)(rows)))
    for gap in gaps(rows):
        print(gap, file=sys.stderr)
    if options.figure:
        try:
            draw(rows).savefig(options.figure, dpi=150)
        except ImportError:
            print("report.py: no figure, for want of matplotlib; pip install matplotlib", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        print(f"report.py: {error}", file=sys.stderr)
        sys.exit(2)
