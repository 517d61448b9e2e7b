"""Episodes, and the rollout files that keep them: JSON Lines, a header and then one line an episode.

A file written here carries on each line the CRC-32 of its other fields, and in the header how many episodes follow, so
that damage is noticed wherever it is; files without them are read as well.
"""

import json
import os
import tempfile
import zlib
from typing import NamedTuple

import gymnasium as gym
import numpy as np

FORMAT = "loro-rollouts-1"
LARGEST = 1e9  # of any number in a file; no environment comes near it


class Episode(NamedTuple):
    """One episode of T steps: observations (T + 1, ...), actions (T,), rewards (T,), and how it ended.

    seed: the argument of env.reset that began it, or None if unknown. replies: what the language model said at each
    step, a string or, if it was asked for several votes, a list of them; or None. observations are int64 or float32, as
    in the environment.
    """

    seed: int | None
    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool
    truncated: bool
    replies: list[str] | list[list[str]] | None = None

    @property
    def total(self):
        """The return: the sum of the rewards, undiscounted."""
        return float(self.rewards.sum())


def play(env, act, seed):
    """One Episode in the gymnasium.Env `env`, reset with `seed`, by the policy act(observation) -> action."""
    observation, _ = env.reset(seed=seed)
    observations, actions, rewards, terminated, truncated = [observation], [], [], False, False
    while not (terminated or truncated):
        action = int(act(observation))
        observation, reward, terminated, truncated, _ = env.step(action)
        observations.append(observation)
        actions.append(action)
        rewards.append(float(reward))
    dtype = env.observation_space.dtype
    steps = np.array(observations, dtype), np.array(actions), np.array(rewards)
    return Episode(seed, *steps, bool(terminated), bool(truncated))


def write_whole(path, text):
    """Writes the file at once or not at all: a reader, or a crash, never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def check_writable(path):
    """Raises OSError if the file cannot be written: better before the work than after it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path.parent):
        pass


def write_rollouts(path, header, episodes):
    """Writes `header` (a dict: env, model, recorded, system, ...) and `episodes` to the Path `path`."""
    records = [{"format": FORMAT, **header, "episodes": len(episodes)}]
    for episode in episodes:
        records.append(record_of(episode))
    write_whole(path, "".join(json.dumps({**record, "crc32": crc32(record)}) + "\n" for record in records))


def record_of(episode):
    """The Episode as a JSON object, without what is unknown."""
    fields = {name: x.tolist() if isinstance(x, np.ndarray) else x for name, x in episode._asdict().items()}
    return {name: x for name, x in fields.items() if x is not None}


def read_rollouts(path, env_name, env):
    """Reads the Path `path`; returns (header, list of Episode), checked against the gymnasium.Env `env` and its name.

    Raises ValueError, naming file and line, for anything that is not such a file, and OSError if it cannot be opened.
    """
    lines = path.read_bytes().rstrip().splitlines()
    if not lines:
        raise ValueError(f"{path} is empty; give a rollout file")
    records, number = [], 0
    try:
        for number, line in enumerate(lines, 1):  # noqa: B007
            records.append(read_record(line))
        checked = any("crc32" in record for record in records)
        for number, record in enumerate(records, 1):
            if checked and record.pop("crc32", None) != crc32(record):
                raise ValueError("damaged: its fields do not agree with its crc32")
            records[number - 1] = check_header(record, env_name) if number == 1 else check_episode(record, env)
        header, *episodes = records
        if len(episodes) != header.get("episodes", len(episodes)) or not episodes:
            raise ValueError(f"the file ends after {len(episodes)} episodes of {header.get('episodes', 'some')}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} line {number}: {error}") from None
    return header, episodes


def crc32(record):
    """The checksum, 8 hexadecimal digits, of anything that JSON can hold."""
    return f"{zlib.crc32(json.dumps(record).encode()):08x}"


def read_record(line):
    def refuse(constant):
        raise ValueError(f"{constant} is not a finite number")

    try:
        record = json.loads(line.decode("utf-8"), parse_constant=refuse)
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("not JSON in UTF-8 (pickles are not read: opening one runs its code)") from None
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    return record


def check_header(record, env_name):
    if record.get("format") != FORMAT:
        raise ValueError(f'not a rollout file: the header needs "format": "{FORMAT}"')
    if record.get("env") != env_name:
        raise ValueError(f"episodes of {record.get('env')}, not of {env_name}; give --rollouts another file")
    return record


def check_episode(record, env):
    """The record as an Episode of the gymnasium.Env `env`; raises ValueError if it is not one."""

    def need(condition, what):
        if not condition:
            raise ValueError(what)

    def numbers(values, kinds, low, high):
        return isinstance(values, list) and all(type(x) in kinds and low <= x <= high for x in values)

    actions, rewards, observations, replies = map(record.get, ("actions", "rewards", "observations", "replies"))
    last, space, real = env.action_space.n - 1, env.observation_space, (int, float)
    need(numbers(actions, (int,), 0, last) and actions, f"actions is not a list of numbers from 0..{last}")
    need(numbers(rewards, real, -LARGEST, LARGEST), "rewards is not a list of finite numbers")
    T = len(actions)
    if isinstance(space, gym.spaces.Discrete):
        valid = numbers(observations, (int,), 0, space.n - 1)
        need(valid, f"observations is not a list of numbers from 0..{space.n - 1}")
    else:
        n = space.shape[0]
        valid = isinstance(observations, list) and all(numbers(o, real, -LARGEST, LARGEST) for o in observations)
        valid = valid and all(len(o) == n for o in observations)
        need(valid, f"observations is not a list of lists of {n} finite numbers")
    need(len(rewards) == T and len(observations) == T + 1, f"{T} actions need {T} rewards and {T + 1} observations")
    need(all(type(record.get(k)) is bool for k in ("terminated", "truncated")), "terminated, truncated: true or false")
    if replies is not None:
        need(isinstance(replies, list) and len(replies) == T, f"{T} actions need {T} replies")
        texts = [text for reply in replies for text in (reply if isinstance(reply, list) else [reply])]
        need(all(isinstance(text, str) for text in texts), "a reply is not text")
    need(type(record.get("seed")) in (int, type(None)), "seed is not a whole number")
    return Episode(
        record.get("seed"), np.array(observations, space.dtype), np.array(actions), np.array(rewards, float),
        record["terminated"], record["truncated"], replies,
    )
