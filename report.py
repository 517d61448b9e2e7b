"""From result files to one table and one figure: `python report.py results`. Several folders stand side by side."""

import io
import signal
import sys
from itertools import cycle, pairwise
from pathlib import Path

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the imports without a traceback

import numpy as np

import files
import terminal
from files import UserError, need

ABOUT = """A table and a figure of what loro.py has found. A row's name is its method, then its model and its folder
where they are not those of the first folder with `online`. regret: evaluations x the best attainable return, less the
cumulative reward. online's / its: regret of `online` over that of the row. t: by how many standard errors its reward
is above that of `online`, seed by seed if they have the same. own steps: online's / its again, over the row's
evaluations after the LLM's episodes and over as many of `online`, its first. last 30: the mean of the last 30
evaluations. A 95% interval and t need five seeds that vary."""
HEAD = "environment | method | seeds | cumulative reward | 95% interval | regret"
HEAD += " | online's / its | t | own steps | last 30"
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]  # colour-blind safe (Okabe & Ito 2008)
DASHES = ["-", "--", "-.", (0, (5, 1)), (0, (6, 1, 1, 1, 1, 1))]
OF_METHODS = {"data", "pretrain", "clone", "keep", "fine_tune"}  # in what methods differ by their definition


def runs_of_rows(results, methods):
    """{(env, name): its results by seed}, of `methods` in their order. A name is the method, then the model and the
    folder unless usual in env: the folder of `online`, else of the first run, and its model if it has but one."""
    usual = {}
    for run in sorted(results, key=lambda run: run["method"] != "online"):
        usual.setdefault(run["env"], run["folder"])
    models = {env: {r["model"] for r in results if (r["env"], r["folder"]) == (env, usual[env])} for env in usual}
    chosen = [run for run in results if run["method"] in methods]
    chosen.sort(key=lambda r: (r["env"], methods.index(r["method"]), r["folder"] != usual[r["env"]], r["seed"]))
    found = {}
    for run in chosen:
        env, name, model, folder = (run[field] for field in ("env", "method", "model", "folder"))
        name += f", {model}" if model and models[env] - {None} != {model} else ""
        name += f", {folder}" if folder != usual[env] else ""
        found.setdefault((env, name), []).append(run)
    return found


def group(results, methods, first=None):
    """{(env, name): row} of `runs_of_rows`: a row is a result of several `seeds`, `returns` a line for each, `llm_mean`
    the LLM's mean, or None. first: how many evaluations of each count; None: all. Raises UserError for unlike runs."""
    texts = ("env", "method", "model", "folder")  # which may come from anywhere
    results = [run | {name: terminal.printable(run[name]) for name in texts if run[name]} for run in results]
    rows, lengths, found = {}, {}, runs_of_rows(results, list(map(terminal.printable, methods)))
    for (env, name), runs in found.items():
        made_of = ((run["seed"], run["config"] | {"best_return": run["best_return"]}) for run in runs)
        for (s, then), (t, now) in pairwise(made_of):
            unlike = ", ".join(key for key in then | now if then.get(key) != now.get(key))
            what = f"{env}, {name}: seeds {s} and {t} differ in {unlike or 'nothing'}"
            need(s != t and not unlike, f"{what}; give each run once, and unlike runs in folders of unlike names")
        returns = np.array([run["returns"][:first] for run in runs], float)
        n = returns.shape[1]
        if n != lengths.setdefault(env, n):  # that of the environment's first row
            what = f"{env}, {name}: {n} evaluations cannot be compared with {lengths[env]} of other rows"
            least = min(len(each[0]["returns"]) for (where, _), each in found.items() if where == env)
            raise UserError(f"{what}; give --first {least}, or comparable runs alone, such as results/ENV")
        llm_returns = [each for run in runs for each in run["returns"][: run["llm_episodes"]]]
        llm_mean = np.mean(llm_returns) if llm_returns else None
        rows[env, name] = {**runs[0], "seeds": [run["seed"] for run in runs], "returns": returns, "llm_mean": llm_mean}
    return rows


def interval(samples):
    """The 95% bootstrap interval of the mean over the first axis, by percentiles (Efron 1981): (low, high). Fewer than
    five would make it far too narrow: of these it is no interval, but the mean twice."""
    if len(samples) < 5:
        return samples.mean(0), samples.mean(0)
    drawn = np.random.default_rng(0).choice(samples, (5_000, len(samples)))
    return np.quantile(drawn.mean(1), [0.025, 0.975], axis=0)


def t_statistic(a, b, paired):
    """By how many standard errors the mean of `a` is above that of `b`, arrays with a number a seed (Student 1908): of
    their differences if `paired`, else of independent means. nan for fewer than five, or if nothing varies."""
    if min(len(a), len(b)) < 5:
        return np.nan
    error = np.sqrt(sum(each.var(ddof=1) / len(each) for each in ([a - b] if paired else [a, b])))
    lead = a.mean() - b.mean()
    return lead / error if error > 1e-9 * abs(lead) else np.nan  # below that it is rounding


def low_to_high(samples, places=1):
    """The `interval` of `samples` as text, with so many decimals; "" if it has no width."""
    low, high = interval(samples)
    return f"{terminal.rounded(low, places)} to {terminal.rounded(high, places)}" if low < high else ""


def ratio(theirs, its):
    """The regret `theirs` over `its`, as text: "" if `theirs` is not above 0, or one is nan, unknown."""
    if not theirs > 0 or np.isnan(its):
        return ""
    if its < 0.05:
        return "no regret left"
    return f"{theirs / its:,.2f}" if theirs < 10 * its else f"{theirs / its:,.0f}"


def markdown(cells):
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def table(rows):
    """The lines of a Markdown table. Regret: what the mean lacks of the best; own steps: see ABOUT."""
    yield from (f"| {HEAD} |", "| --- | --- " + "| ---: " * 8 + "|")
    for (env, name), row in rows.items():
        returns, n_llm, best = row["returns"], row["llm_episodes"], np.array(row["best_return"], float)  # or nan
        online = rows.get((env, "online"), row | {"returns": np.full_like(returns, np.nan)})
        totals, regret, baseline = returns.sum(1), best - returns.mean(0), best - online["returns"].mean(0)
        t = t_statistic(totals, online["returns"].sum(1), row["seeds"] == online["seeds"])
        after_llm = regret[n_llm:]
        cells = [env, name, len(totals), terminal.rounded(totals.mean()), low_to_high(totals)]
        cells += ["unknown" if np.isnan(best) else terminal.rounded(regret.sum()), ratio(baseline.sum(), regret.sum())]
        cells.append("" if np.isnan(t) else terminal.rounded(t))
        cells.append(ratio(baseline[: len(after_llm)].sum(), after_llm.sum()) if n_llm else "")
        cells.append(terminal.rounded(returns[:, -30:].mean(), 2) if len(after_llm) >= 30 else "")
        yield markdown(cells)


def brief(rows):
    """The lines of a Markdown table, a line an environment: each row's regret, or its cumulative reward where the best
    is unknown, with its 95% interval; and `online`'s regret over that of `loro-plus`."""
    envs, names = (list(dict.fromkeys(part)) for part in zip(*rows))
    yield markdown(["environment", *names, "online's regret / loro-plus's"])
    yield "| --- |" + " ---: |" * (len(names) + 1)
    for env in envs:
        its_rows = {name: row for (where, name), row in rows.items() if where == env}
        cells, regrets = dict.fromkeys(names, ""), {"online": np.nan, "loro-plus": np.nan}
        known = all(row["best_return"] is not None for row in its_rows.values())
        for name, row in its_rows.items():
            each = (row["best_return"] - row["returns"] if known else row["returns"]).sum(1)
            places = 0 if abs(each.mean()) >= 100 else 1
            span = low_to_high(each, places)
            cells[name] = terminal.rounded(each.mean(), places) + (f" ({span})" if span else "")
            regrets[name] = each.mean() if known else np.nan
        what = env if known else f"{env} (reward)"
        yield markdown([what, *cells.values(), ratio(regrets["online"], regrets["loro-plus"])])


def doubts(rows):
    """What may make a comparison unfair, a line each: seeds that a row lacks; and settings, its method's aside, in
    which it differs from `online` in the same folder, or else from the first row there that has the setting."""
    for (env, name), row in rows.items():
        all_rows = [each for (where, _), each in rows.items() if where == env]
        if lacking := sorted({seed for each in all_rows for seed in each["seeds"]}.difference(row["seeds"])):
            yield f"{env} {name} has no seed {', '.join(map(str, lacking))}"
        beside, usual = [each for each in all_rows if each["folder"] == row["folder"]], {}
        for each in sorted(beside, key=lambda each: each["method"] != "online"):
            usual = {key: (value, each["method"]) for key, value in each["config"].items()} | usual
        for key, value in row["config"].items():
            if key not in OF_METHODS and value != usual[key][0]:
                yield f"{env} {name} has another {key} than {usual[key][1]} beside it"


def draw(rows):
    """A matplotlib Figure: a panel an environment, in it each row's mean and its interval, at about thirty points."""
    from matplotlib.figure import Figure
    envs, names = (list(dict.fromkeys(part)) for part in zip(*rows))
    styles = dict(zip([*names, *{row["model"]: 0 for row in rows.values()}], zip(cycle(COLOURS), cycle(DASHES))))
    across, down = min(3, len(envs)), -(-len(envs) // 3)
    figure = Figure(figsize=(4 * across, 3 * down + 0.2 * len(styles) / across), layout="constrained")
    for i, env in enumerate(envs, 1):
        panel = figure.add_subplot(down, across, i, title=env, xlabel="evaluation", ylabel="return")
        in_view, shown_by = [], {}  # heights; of each model the row with which its mean is drawn
        its_rows = {name: row for (where, name), row in rows.items() if where == env}
        for name, row in its_rows.items():
            returns, model, n_llm, (colour, dashes) = row["returns"], row["model"], row["llm_episodes"], styles[name]
            n, every = returns.shape[1], -(-returns.shape[1] // 30)  # a point is the mean of so many neighbours
            parts = np.split(np.arange(n), range(every, n, every))
            points = np.stack([returns[:, part].mean(1) for part in parts], axis=1)
            (low, high), middle = interval(points), [part.mean() + 1 for part in parts]  # the first evaluation is 1
            panel.plot(middle, points.mean(0), color=colour, linestyle=dashes, label=name)
            panel.fill_between(middle, low, high, color=colour, alpha=0.2, linewidth=0)
            in_view += [np.quantile(low, 0.05), high.max()]  # a bad start would flatten the rest
            if n_llm and shown_by.setdefault(model, name) == name:
                label = f"{model or 'the LLM'}'s mean"
                panel.axhline(row["llm_mean"], color=styles[model][0], ls=":", zorder=1, label=label)
                panel.axvspan(0.5, n_llm + 0.5, color="0.9", zorder=0, label="the LLM's episodes, where it plays")
        if row["best_return"] is not None:  # the same in each of its rows
            in_view.append(row["best_return"])
            panel.axhline(row["best_return"], color="black", lw=0.8, zorder=1, label="best attainable mean")
        margin = 0.05 * np.ptp(in_view) or 1
        panel.set(xlim=(0.5, n + 0.5), ylim=(min(in_view) - margin, max(in_view) + margin))
    legend = {label: line for panel in figure.axes for line, label in zip(*panel.get_legend_handles_labels())}
    handles = sorted(legend.values(), key=lambda line: line.get_label() not in names)  # the rows first
    figure.legend(handles=handles, loc="outside lower center", ncols=across, frameon=False, fontsize="small")
    return figure


def save(rows, path):
    """Puts the figure of `rows` into the file at the Path `path`."""
    from matplotlib import rc_context  # here, since all else does without it
    with rc_context({"text.parse_math": False, "text.usetex": False}):  # a name may hold dollars
        draw(rows).savefig(data := io.BytesIO(), format=path.suffix[1:], dpi=150)
    files.write_whole({path: data.getvalue()})


def main():
    parser = terminal.Parser(description=ABOUT)
    add, writable = parser.add_argument, terminal.writable
    add("places", nargs="+", type=Path, help="folders that loro.py wrote to, or packed studies")
    add("--brief", action="store_true", help="a line an environment")
    add("--methods", nargs="+", metavar="METHOD", help="show these alone, in this order")
    add("--figure", type=writable(*terminal.FIGURES), metavar="FILE", help="draw the figure into a .png, .svg or .pdf")
    add("--first", type=terminal.number(int, 1), metavar="N", help="of each run the first N evaluations alone")
    add("--pack", type=writable(".gz"), metavar="FILE.gz", help="put all results into one file, read like them")
    options = parser.parse_args()
    results = [result for place in options.places for result in files.read_results(place)]
    known = list(dict.fromkeys(result["method"] for result in results))
    need(set(options.methods or known) <= set(known), f"--methods: there are results of {', '.join(known)} alone")
    rows = group(results, options.methods or known, options.first)
    if options.pack:
        files.pack(results, options.pack)
    lines = brief(rows) if options.brief else table(rows)
    print("".join(f"{line}\n" for line in lines), end="")  # at once: `| head` ends no figure
    if options.figure:
        save(rows, options.figure)
    for doubt in doubts(rows):
        print(terminal.printable(f"report.py: {doubt}"), file=sys.stderr)


if __name__ == "__main__":
    terminal.guard(main, "report.py")
