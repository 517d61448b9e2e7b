"""How good must the teacher be? Teachers of graded quality, and what `loro-plus` and `loro` make of their episodes.

    python benchmarks/teachers.py results/study/main/*/online-100.npz
    for teacher in study/teachers/*; do SEEDS="100 105" ROLLOUTS=$teacher ./run_all.sh; done
    python benchmarks/teachers.py results/study

The first command lets each of these kept policies play ten episodes, a share of its actions at random: so many files
study/teachers/random-SHARE/ENV.jsonl. The last prints the table that docs/study.md explains, of the teachers in the
results whose recordings are there."""

import sys
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import report
import terminal
from benchmarks import ROOT
from benchmarks.coverage import coverage
from envs_text import find_environment
from episodes import act, play, read_rollouts, write_rollouts
from files import need, read_policy, read_results
from watch import load_agent

SHARES, TEACHERS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0), Path("study/teachers")


def record(policy):
    """Ten episodes of a kept policy for each of SHARES."""
    env_name = read_policy(policy)[0]["env"]
    environment = find_environment(env_name)
    env, agent = environment.make(), load_agent(policy, environment)
    for share in SHARES:
        rng = np.random.default_rng(0)
        episodes = [play(env, partial(act, agent, share, rng), seed) for seed in range(10)]
        header = {"env": env_name, "model": f"{policy.stem}, {share:.0%} at random"}
        write_rollouts(TEACHERS / f"random-{share:g}" / f"{env_name}.jsonl", header, episodes)


def ratio(its, theirs):
    """The mean of `its` over that of `theirs`, numbers by seed, and its standard error, by seeds (Taylor's theorem)."""
    found = its.mean() / theirs.mean()
    return found, np.std(its - found * theirs, ddof=1) / len(its) ** 0.5 / theirs.mean()


def compare(rows):
    """Of each teacher in the rows of `report.group`: (environment's name, teacher, its level, what part of the optimal
    play it covers if known, {method: the `ratio` of its pupils' regret to `online`'s with the same seeds}). Raises
    UserError if `online` lacks one of these."""
    pupils = {}
    for (env, name), row in rows.items():
        best, n = row["best_return"], row["llm_episodes"]
        if n and best is not None and (env, "online") in rows:
            baseline = rows[env, "online"]
            same = np.isin(baseline["seeds"], row["seeds"])
            problem = f"{env}, {name}: its seeds are not those of `online`; run `online` with them, too"
            need(same.sum() == len(row["seeds"]), problem)
            its, theirs = best - row["returns"][:, n:], best - baseline["returns"][same, :-n]
            of_teacher = pupils.setdefault((env, row["model"], row["folder"]), {})
            of_teacher[row["method"]] = ratio(its.sum(1), theirs.sum(1))
    for (env, model, folder), lost in pupils.items():
        environment = find_environment(env)
        recording = (ROOT / "rollouts" if folder == "main" else TEACHERS / folder) / f"{env}.jsonl"
        if recording.is_file():
            _, episodes = read_rollouts(recording, env, environment.make())
            level = np.mean([episode.total for episode in episodes]) - environment.random_return
            level /= environment.best_return - environment.random_return
            yield env, model, level, environment.grid and coverage(environment.make(), episodes)[2], lost


def table(teachers):
    """The lines of a Markdown table of what `compare` finds."""
    yield "| environment | teacher | its level | optimal play covered | loro-plus | loro |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for env, model, level, covered, lost in teachers:
        cells = [env, model, f"{level:.2f}", f"{covered:.2f}" if covered else ""]
        cells += ["{:.2f} ± {:.2f}".format(*lost[method]) if method in lost else "" for method in ("loro-plus", "loro")]
        yield report.markdown(cells)


def main():
    parser = terminal.Parser(description="Teachers of graded quality, and what becomes of their pupils.")
    parser.add_argument("places", nargs="+", type=Path, help="kept policies, to record; or results, to compare")
    places = parser.parse_args().places
    if places[0].suffix == ".npz":
        for policy in places:
            record(policy)
        return
    results = [run for place in places for run in read_results(place)]
    teachers = list(compare(report.group(results, ["online", "loro-plus", "loro"])))
    need(teachers, "there are no pupils of a teacher whose recording is there, beside `online`")
    print("\n".join(table(teachers)))


if __name__ == "__main__":
    terminal.guard(main, "teachers.py")
