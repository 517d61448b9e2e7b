"""Episodes: played, evaluated, turned into transitions, and kept in rollout files.

A rollout file is JSON Lines: a header, which says how many episodes follow, then one line an episode. Each line that is
written here carries the CRC-32 of its other fields, so that damage is noticed wherever it is."""

import json
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from files import LARGEST, UserError, are_numbers, checksum, json_object, need, write_whole

FORMAT = "loro-rollouts-1"


class Episode(NamedTuple):
    """One episode of T steps: observations (T + 1, ...), actions (T,), rewards (T,), and how it ended."""

    seed: int | None  # with which env.reset began it, if known
    observations: np.ndarray  # of the environment's dtype
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool
    truncated: bool
    replies: list[str] | list[list[str]] | None = None  # of the language model at each step; a list if there were votes

    @property
    def total(self):
        """The return: the sum of the rewards, undiscounted."""
        return float(self.rewards.sum())

    def full_return(self, limit):
        """The return, as if an episode that was cut off before `limit` steps had gone on in the same way."""
        return self.total * (limit / len(self.actions)) if self.truncated and not self.terminated else self.total


def play(env, policy, seed):
    """One Episode in the gymnasium.Env `env`, reset with `seed`, by `policy`, observation -> action.

    Raises UserError if an observation, an action or a reward is none that a file of episodes may hold."""
    shown, allowed = env.observation_space, env.action_space  # asked once, since wrappers hand it on
    observation, _ = env.reset(seed=seed)
    where, observations, actions, rewards, terminated, truncated = f"episode with seed {seed}", [], [], [], False, False
    while True:
        check_observation(shown, observation, where)
        observations.append(np.copy(observation))  # the environment may write the next one into the same array
        if terminated or truncated:
            break
        action = int(policy(observation))
        if not allowed.contains(action):  # not by `need`, which would put each action into words
            raise UserError(f"{where}: the action {action} is not in {allowed}")
        actions.append(action)
        observation, reward, terminated, truncated, _ = env.step(action)
        number = np.ndim(reward) == 0 and np.asarray(reward).dtype.kind in "biuf" and abs(float(reward)) <= LARGEST
        if not number:
            raise UserError(f"{where}: the reward {reward!r} is no finite number up to {LARGEST:g}")
        rewards.append(float(reward))
    steps = np.array(observations, shown.dtype), np.array(actions), np.array(rewards)
    return Episode(seed, *steps, bool(terminated), bool(truncated))


def act(agent, epsilon, rng, observation):
    """An epsilon-greedy action: at random with probability epsilon, else the agent's best."""
    if rng.random() < epsilon:
        return int(rng.integers(agent.n_actions))
    return int(agent.values(np.asarray(observation)[None]).argmax())


def evaluate(agent, envs):
    """An evaluation: the mean return of one greedy episode in each of `envs`, played side by side. Raises UserError
    if it, or one of the agent's last values, is no finite number, or if a last observation does not fit."""
    observations = [env.reset()[0] for env in envs]
    playing, total = list(range(len(envs))), 0.0
    while playing:
        values = agent.values(np.array([observations[i] for i in playing]))
        for i, action in zip(list(playing), values.argmax(1)):
            observations[i], reward, terminated, truncated, _ = envs[i].step(int(action))
            total += float(reward)
            if terminated or truncated:
                playing.remove(i)
    if not (np.isfinite(total) and np.isfinite(values).all()):  # at once, and not after hours
        what = "an evaluation earned, or the agent expects, what is no finite number"
        raise UserError(f"{what}; look at the environment's rewards and observations, or lower the learning rate")
    for each in observations:
        check_observation(envs[0].observation_space, each, "the end of an evaluation")
    return total / len(envs)


def check_observation(space, observation, where):
    """Raises UserError if it is no state of a table, or no vector of finite numbers, as many as `space` has."""
    if isinstance(space, gym.spaces.Discrete):
        fits, wanted = space.contains(observation), f"in {space}"
    else:
        fits = np.shape(observation) == space.shape and (abs(np.asarray(observation, float)) <= LARGEST).all()
        wanted = f"{space.shape} finite numbers up to {LARGEST:g}"
    if not fits:  # not by `need`, which would put each observation into words
        raise UserError(f"{where}: the observation {observation} is not {wanted}")


def transitions(episodes):
    """The list of all (s, a, r, s', terminated) of `episodes`. A time limit makes no state terminal."""
    found = []
    for e in episodes:
        ends = [False] * (len(e.actions) - 1) + [e.terminated]
        found += zip(e.observations, e.actions, e.rewards, e.observations[1:], ends)
    return found


PLAYING = Episode, play, act, evaluate, transitions  # what results depend on, for their checksum of code


def record_of(episode):
    """The Episode as a JSON object, without what is unknown."""
    fields = {name: x.tolist() if hasattr(x, "tolist") else x for name, x in episode._asdict().items()}
    return {name: x for name, x in fields.items() if x is not None}


def write_rollouts(path, header, episodes):
    """Writes `header` (a dict: env, model, recorded, rules, ...) and `episodes` to the file at the Path `path`."""
    records = [{"format": FORMAT, **header, "episodes": len(episodes)}, *map(record_of, episodes)]
    lines = (json.dumps({**record, "crc32": checksum(record)}) + "\n" for record in records)
    write_whole({path: "".join(lines).encode()})


def recorded_environment(path):
    """The name of the environment of the rollout file at the Path `path`. Raises UserError if it names none,
    OSError if it cannot be read."""
    try:
        return str(json_object(path.read_bytes().partition(b"\n")[0])["env"])
    except (ValueError, KeyError):
        raise UserError(f"{path} line 1: names no environment; it is no rollout file") from None


def read_rollouts(path, env_name, env):
    """The (header, list of Episode) in the file at the Path `path`, checked against the gymnasium.Env `env` and its
    name. Raises UserError, naming file and line, for what is not such a file, and OSError if it cannot be read."""
    need(path.is_file(), f"there is no file {path} of recorded episodes")
    lines = path.read_bytes().rstrip().splitlines()
    has_checksums = any(b'"crc32"' in line for line in lines)  # a file that was written elsewhere may have none
    number, header, episodes = 0, {}, []
    try:
        for number, line in enumerate(lines, 1):
            record = json_object(line)
            if has_checksums:
                need(record.pop("crc32", None) == checksum(record), "damaged: its fields do not agree with its crc32")
            if number == 1:
                header, played = record, record.get("env")
                need(record.get("format") == FORMAT, f"its format is {record.get('format')}, not {FORMAT}")
                need(played == env_name, f"its episodes are of {played}, not of {env_name}; give another file")
                need(isinstance(header.get("model"), str | None), "its model is no text")
            else:
                episodes.append(episode_of(record, env))
        n = len(episodes)
        need(n and n == header.get("episodes", n), f"the file holds {n} episodes, not as many as it tells of")
    except ValueError as error:
        raise UserError(f"{path} line {number}: {error}") from None
    return header, episodes


def episode_of(record, env):
    """The Episode in a JSON object, cut at the step limit that the gymnasium.Env `env` sets for all. Raises
    UserError, saying what is wrong, if it holds none."""
    seed, observations, actions, rewards, terminated, truncated, replies = map(record.get, Episode._fields)
    space, n_actions, limit = env.observation_space, env.action_space.n, env.spec.max_episode_steps
    T = len(actions) if isinstance(actions, list) else 0
    need(T and are_numbers(actions, T, (int,), 0, n_actions - 1), f"actions: not whole numbers from 0..{n_actions - 1}")
    need(are_numbers(rewards, T), f"rewards: not {T} finite numbers")
    wrong = f"observations: not {T + 1}"
    if isinstance(space, gym.spaces.Discrete):
        need(are_numbers(observations, T + 1, (int,), 0, space.n - 1), f"{wrong} whole numbers from 0..{space.n - 1}")
    else:
        n, whole = space.shape[0], np.issubdtype(space.dtype, np.integer)
        limits = ((int,), np.iinfo(space.dtype).min, np.iinfo(space.dtype).max) if whole else ()
        rows = observations if isinstance(observations, list) else []
        fit = len(rows) == T + 1 and all(are_numbers(row, n, *limits) for row in rows)
        need(fit, f"{wrong} lists of {n} finite numbers ({space.dtype})")
    need(type(terminated) is type(truncated) is bool, "terminated, truncated: not true or false")
    need(terminated or truncated, "neither terminated nor truncated: an episode that was cut off is truncated")
    votes = [reply if isinstance(reply, list) else [reply] for reply in replies] if isinstance(replies, list) else []
    texts = len(votes) == T and all(set(map(type, each)) == {str} for each in votes)
    need(replies is None or texts, f"replies: not {T} texts")
    need(seed is None or (type(seed) is int and seed >= 0), "seed: not a whole number from 0 on")
    if len(actions) > limit:
        terminated, truncated, replies = False, True, replies and replies[:limit]
    observations = np.array(observations[: limit + 1], space.dtype)
    actions, rewards = np.array(actions[:limit]), np.array(rewards[:limit], float)
    return Episode(seed, observations, actions, rewards, terminated, truncated, replies)
