"""What README and docs measure: each file here is a command, but this one, which says where their data lie."""

from pathlib import Path

from envs_text import find_environment
from episodes import read_rollouts

ROOT = Path(__file__).parent.parent


def recorded(name, folder="rollouts"):
    """(the Environment called `name`, the header of its recording in a folder of the project, the episodes)."""
    environment = find_environment(name)
    return environment, *read_rollouts(ROOT / folder / f"{name}.jsonl", name, environment.make())
