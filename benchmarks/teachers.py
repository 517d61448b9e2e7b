"""How good must the teacher be? Teachers of graded quality, and what `loro-plus` and `loro` make of their episodes.

    python benchmarks/teachers.py results/study/main/*/online-100.npz
    for teacher in study/teachers/*; do ROLLOUTS=$teacher ./run_all.sh; done
    python benchmarks/teachers.py results/study

The first command lets each of these kept policies play ten episodes, a share of its actions at random: so many files
study/teachers/random-SHARE/ENV.jsonl. The last prints, for each teacher, where its mean return lies between random
play (0) and the best attainable (1); in the grid worlds, what part of the optimal play it covers (coverage.py); and its
pupils' regret after its episodes over that of as many evaluations of `online`, from its first.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import report
import terminal
from benchmarks.coverage import coverage
from envs_text import find_environment
from episodes import act, play, read_rollouts, write_rollouts
from files import read_results
from watch import load_agent

SHARES, TEACHERS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0), Path("study/teachers")


def record(policy):
    """Ten episodes of a kept policy for each of SHARES."""
    env_name, agent = load_agent(policy)
    env = find_environment(env_name).make()
    for share in SHARES:
        rng = np.random.default_rng(0)
        episodes = [play(env, partial(act, agent, share, rng), seed) for seed in range(10)]
        header = {"env": env_name, "model": f"{policy.stem}, {share:.0%} at random"}
        write_rollouts(TEACHERS / f"random-{share:g}" / f"{env_name}.jsonl", header, episodes)


def table(rows):
    """The lines of a Markdown table from the rows of `report.group`."""
    yield "| environment | teacher | its level | optimal play covered | loro-plus | loro |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for env, model, folder in dict.fromkeys((env, row["model"], row["folder"]) for (env, _), row in rows.items()):
        if not folder.startswith("random-"):
            continue
        environment, online = find_environment(env), rows[env, "online"]
        _, episodes = read_rollouts(TEACHERS / folder / f"{env}.jsonl", env, environment.make())
        span = environment.best_return - environment.random_return
        level = (np.mean([episode.total for episode in episodes]) - environment.random_return) / span
        covered = f"{coverage(environment.make(), episodes)[2]:.2f}" if environment.grid else ""
        after = {}
        for method, row in ((name.split(",")[0], row) for (where, name), row in rows.items() if where == env):
            if row["folder"] == folder:
                n = row["returns"].shape[1] - row["llm_episodes"]
                its, theirs = row["returns"][:, -n:], online["returns"][:, :n]
                after[method] = (environment.best_return - its).sum(1).mean()
                after[method] /= (environment.best_return - theirs).sum(1).mean()
        cells = (f"{after[method]:.2f}" if method in after else "" for method in ("loro-plus", "loro"))
        yield f"| {env} | {terminal.printable(model)} | {level:.2f} | {covered} | {' | '.join(cells)} |"


def main():
    parser = terminal.Parser(description="Teachers of graded quality, and what becomes of their pupils.")
    parser.add_argument("places", nargs="+", type=Path, help="kept policies, to record; or results, to compare")
    places = parser.parse_args().places
    if all(place.suffix == ".npz" for place in places):
        for place in places:
            record(place)
    else:
        results = [run for place in places for run in read_results(place)]
        print("\n".join(table(report.group(results, ["online", "loro-plus", "loro"]))))


if __name__ == "__main__":
    terminal.guard(main, "teachers.py")
