"""Recorded episodes as a Minari dataset, and back: observations, actions, rewards, ends, seeds and replies are kept.

    python benchmarks/minari_files.py rollouts/FrozenLake-v1.jsonl frozenlake/claude-v0
    python benchmarks/minari_files.py frozenlake/claude-v0 lake.jsonl --env FrozenLake-v1

It needs `pip install 'minari[hdf5]'`. Minari keeps its datasets under ~/.minari, or MINARI_DATASETS_PATH."""

import json
import re
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
import terminal
from envs_text import find_environment
from episodes import Episode, episode_of, read_rollouts, record_of, write_rollouts
from files import UserError, check_writable, need
from watch import environment_of


def to_minari(path, dataset_id, own=None):
    """Makes the Minari dataset called `dataset_id` of a rollout file; its header is the dataset's description. own: as
    for `environment_of`."""
    import minari
    from minari.data_collector import EpisodeBuffer

    env_name, environment = environment_of(path, own)
    env = environment.make()
    header, episodes = read_rollouts(path, env_name, env)

    def buffer(e):
        ends = np.arange(len(e.actions)) == len(e.actions) - 1
        said = {"replies": [json.dumps(reply) for reply in [None, *e.replies]]} if e.replies else None
        columns = e.observations, e.actions, e.rewards, ends & e.terminated, ends & e.truncated
        return EpisodeBuffer(None, e.seed, None, *map(list, columns), infos=said)

    spaces = {"action_space": env.action_space, "observation_space": env.observation_space}
    about = {"algorithm_name": str(header.get("model")), "description": json.dumps(header), "data_format": "hdf5"}
    warnings.filterwarnings("ignore", module="minari")  # It misses the name and address of an author.
    try:
        # Minari would make a folder before it looks at the name.
        need(re.fullmatch(r"([\w-][\w/-]*[\w-]/)?[\w-]+-v\d+", dataset_id), "no name of a dataset")
        return minari.create_dataset_from_buffers(dataset_id, [*map(buffer, episodes)], **spaces, **about)
    except ValueError as error:
        raise UserError(f"{dataset_id}: {error}; give a new name, such as frozenlake/claude-v1") from None


def from_minari(dataset_id, path, env_name):
    """Writes the rollout file `path` from a Minari dataset of the environment called `env_name`."""
    import minari

    dataset, env = minari.load_dataset(dataset_id), find_environment(env_name).make()
    spaces = [(each.observation_space, each.action_space) for each in (dataset, env)]
    need(spaces[0] == spaces[1], f"{dataset_id} is of {spaces[0]}, and {env_name} of {spaces[1]}; give another --env")
    seeds = [about.get("seed") for about in dataset.storage.get_episode_metadata(dataset.episode_indices)]
    episodes = []
    for each, seed in zip(dataset.iterate_episodes(), seeds):
        replies = [json.loads(text) for text in (each.infos or {}).get("replies", [])][1:] or None
        terminated = bool(each.terminations[-1])
        truncated = bool(each.truncations[-1]) or not terminated  # some datasets leave both out where they cut it off
        episode = Episode(seed, each.observations, each.actions, each.rewards, terminated, truncated, replies)
        episodes.append(episode_of(record_of(episode), env))
    model = dataset.storage.metadata.get("algorithm_name") or dataset_id
    write_rollouts(path, {"env": env_name, "model": str(model)}, episodes)


def main():
    parser = terminal.Parser(description="Recorded episodes as a Minari dataset, and back.")
    parser.add_argument("source", help="a rollout file, ....jsonl, or the name of a Minari dataset")
    parser.add_argument("target", help="the other of the two")
    parser.add_argument("--env", help="the environment: for a dataset, or if it is your own MODULE:NAME")
    options = parser.parse_args()
    need(find_spec("minari") and find_spec("h5py"), "it needs Minari; pip install 'minari[hdf5]'")
    if options.source.endswith(".jsonl"):
        to_minari(Path(options.source), options.target, options.env)
    elif options.target.endswith(".jsonl") and options.env:
        check_writable(Path(options.target))
        from_minari(options.source, Path(options.target), options.env)
    else:
        raise UserError("give a .jsonl file and a dataset, or a dataset, a .jsonl file and --env")


if __name__ == "__main__":
    terminal.guard(main, "minari_files.py")
