"""The published figures, and what they become with the first repetition alone: `python benchmarks/published.py FILE`.

FILE holds the published curves: {environment: {"curves": {method: [[a return per evaluation], a list a repetition]}}}.
LORO's leave out the LLM's ten episodes, which the published figures count: those add what the curves lack. The last
three columns are this project's, from study/main.jsonl.gz, with its own teacher."""

import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).parent.parent))

import terminal
from benchmarks import ROOT
from files import parse_json, read_results

FIGURES = {  # of arXiv 2505.10861: LORO with Qwen2.5-7B and 3,000 pretraining steps
    "FrozenLake": 94,
    "CliffWalking": -10_436,
    "CartPole": 27_078,
    "MountainCar": -45_453,
    "Pendulum": -56_835,
    "RepresentedPong": -1_765,
}


def main():
    parser = terminal.Parser(description="The published figures beside their first repetition.")
    parser.add_argument("curves", type=Path, help="the published curves, a JSON file")
    published = parse_json(parser.parse_args().curves.read_bytes())
    ours = defaultdict(list)
    for run in read_results(ROOT / "study/main.jsonl.gz"):
        ours[run["env"].split("-")[0], run["method"]].append(sum(run["returns"]))
    print("| environment | on-policy | LORO | its repetitions | the first alone | `online` | `loro` | `loro-plus` |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for env, entry in published.items():
        online, loro = ([sum(curve) for curve in entry["curves"][name]] for name in ("on_policy", "loro_7b_3000"))
        llm = FIGURES[env] - mean(loro)
        repetitions = ", ".join(f"{total:,.0f}" for total in loro)
        own = " | ".join(f"{mean(ours[env, method]):,.0f}" for method in ("online", "loro", "loro-plus"))
        print(f"| {env} | {mean(online):,.0f} | {FIGURES[env]:,} | {repetitions} | {loro[0] + llm:,.0f} | {own} |")


if __name__ == "__main__":
    terminal.guard(main, "published.py")
