"""What ten episodes ask of a server, `python benchmarks/prompts.py`: the recorded ones, at four characters a token."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import terminal
from benchmarks import recorded
from envs_text import ENVIRONMENTS


def main():
    terminal.Parser(description="What ten episodes ask of a server.").parse_args()
    print("| environment | steps in ten episodes | different prompts | tokens in, each | tokens in, all |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in ENVIRONMENTS:
        environment, _, episodes = recorded(name)
        prompts = [environment.describe(o) for episode in episodes for o in episode.observations[:-1]]
        each = (len(environment.rules) + sum(map(len, prompts)) / len(prompts)) / 4
        different = len(set(prompts))
        print(f"| {name} | {len(prompts):,} | {different:,} | {each:.0f} | {different * each / 1000:.0f} thousand |")


if __name__ == "__main__":
    terminal.guard(main, "prompts.py")
