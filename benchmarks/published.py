"""The published figures, and what they become with the first repetition alone: `python benchmarks/published.py FILE`.

FILE holds the published curves: {environment: {"curves": {method: [[a return per evaluation], a list a repetition]}}}.
LORO's leave out the LLM's ten episodes, which the published figures count: those add what the curves lack.
"""

import argparse
import json
from pathlib import Path

FIGURES = {  # of arXiv 2505.10861: LORO with Qwen2.5-7B and 3,000 pretraining steps
    "FrozenLake": 94,
    "CliffWalking": -10_436,
    "CartPole": 27_078,
    "MountainCar": -45_453,
    "Pendulum": -56_835,
    "RepresentedPong": -1_765,
}


def main(path):
    print("| environment | on-policy | LORO | its repetitions, without the LLM's episodes | the first alone |")
    print("| --- | ---: | ---: | --- | ---: |")
    for env, entry in json.loads(Path(path).read_text(encoding="utf-8")).items():
        online, loro = ([sum(curve) for curve in entry["curves"][name]] for name in ("on_policy", "loro_7b_3000"))
        llm = FIGURES[env] - sum(loro) / len(loro)
        repetitions = ", ".join(f"{total:,.0f}" for total in loro)
        print(f"| {env} | {sum(online) / len(online):,.0f} | {FIGURES[env]:,} | {repetitions} | {loro[0] + llm:,.0f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The published figures beside their first repetition.")
    parser.add_argument("curves", help="the published curves, a JSON file")
    main(parser.parse_args().curves)
