"""How good must the teacher be? Teachers of graded quality, and what `loro-plus` and `loro` make of their episodes.

    python benchmarks/teachers.py results/study/main/*/online-100.npz
    for teacher in study/teachers/*; do SEEDS="100 105" ROLLOUTS=$teacher ./run_all.sh; done

The first command lets each of these kept policies play ten episodes, a share of its actions at random: so many files
study/teachers/random-SHARE/ENV.jsonl. The second makes the runs of their pupils, from which `compare` finds what
docs/study.md prints and explains."""

import sys
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import terminal
from benchmarks import ROOT
from benchmarks.coverage import coverage
from envs_text import find_environment
from episodes import act, play, read_rollouts, write_rollouts
from files import file_name, need
from watch import environment_of, load_agent

SHARES, TEACHERS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0), Path("study/teachers")


def record(policy, out, own=None):
    """Ten episodes of a kept policy for each of SHARES, into the folder `out`. own: as for `environment_of`."""
    env_name, environment = environment_of(policy, own)
    env, agent = environment.make(), load_agent(policy, environment)
    for share in SHARES:
        rng = np.random.default_rng(0)
        episodes = [play(env, partial(act, agent, share, rng), seed) for seed in range(10)]
        header = {"env": env_name, "model": f"{policy.stem}, {share:.0%} at random"}
        write_rollouts(out / f"random-{share:g}" / file_name(f"{env_name}.jsonl"), header, episodes)


def ratio(its, theirs):
    """The mean of `its` over that of `theirs`, numbers by seed, and its standard error, by seeds (Taylor's theorem)."""
    found = its.mean() / theirs.mean()
    return found, np.std(its - found * theirs, ddof=1) / len(its) ** 0.5 / theirs.mean()


def compare(rows):
    """Of each teacher in the rows of `report.group`: (environment's name, teacher, its level, what part of the optimal
    play it covers if known, {method: the `ratio` of its pupils' regret to `online`'s with the same seeds}), if its
    recording is there. Raises UserError if `online` lacks one of these seeds."""
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
        recording = (ROOT / "rollouts" if folder == "main" else TEACHERS / folder) / file_name(f"{env}.jsonl")
        if recording.is_file():
            _, episodes = read_rollouts(recording, env, environment.make())
            level = np.mean([episode.total for episode in episodes]) - environment.random_return
            level /= environment.best_return - environment.random_return
            yield env, model, level, environment.grid and coverage(environment.make(), episodes)[2], lost


def main():
    parser = terminal.Parser(description="Records ten episodes of kept policies, a share of their actions at random.")
    parser.add_argument("policies", nargs="+", type=Path, help="results/ENV/METHOD-SEED.npz")
    parser.add_argument("--env", metavar="MODULE:NAME", help="the environment, if it is one of your own")
    parser.add_argument("--out", type=Path, default=TEACHERS, help="folder of the recordings (%(default)s)")
    options = parser.parse_args()
    for policy in options.policies:
        record(policy, options.out, options.env)


if __name__ == "__main__":
    terminal.guard(main, "teachers.py")
