"""LORO: LLM Off-policy pre-train, RL On-policy (Duong, Yang & Zhang 2025, arXiv 2505.10861).

    1. collect     D <- the transitions of tau episodes that a language model played
    2. pretrain    repeat: update Q on a batch from D
    3. fine-tune   repeat: act epsilon-greedily, add the transition to D, update Q on a batch, half of it the model's

`run` is these three phases, for every method: a method is a row of METHODS. The command line stands below it.
"""

import json
import math
import os
import re
import sys
import time
from collections import deque
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy loads: matrices this small only lose by threads

import numpy as np

import terminal
from agents import make_agent
from agents.replay import ReplayBuffer
from collect import ask_server
from envs_text import find_environment
from episodes import check_writable, crc32, play, read_rollouts, record_of, write_whole

FOLDER = Path(__file__).parent
# What a result depends on.
SOURCES = [FOLDER / name for name in ("loro.py", "envs_text.py", "episodes.py")] + sorted(FOLDER.glob("agents/*.py"))


class Method(NamedTuple):
    """What a method does with the first tau episodes."""

    data: str | None  # who plays them: "llm", "random", "own" (the untrained learner), or None if nobody does
    pretrain: bool  # on them?
    keep: bool  # them in the replay buffer after that?
    conservative: bool  # about actions that they do not contain?
    trust: bool  # Is their weight earned (see `trust`), and does it spare the random start? Or is it always 1?
    learn: bool = True  # or is their mean return all there is?
    symmetric: bool = True  # Is half of each batch theirs, or as much as of the replay buffer?
    layer_norm: bool = True  # in the network
    advantage_learning: bool = True  # or plain Q-learning?


METHODS = {  #        data, pretrain, keep, conservative, trust
    "online":      Method(None,     False, False, False, False),
    "loro":        Method("llm",    True,  True,  True,  True),
    "loro-paper":  Method("llm",    True,  True,  False, False),
    "forget":      Method("llm",    True,  False, False, False),
    "mix":         Method("llm",    False, True,  False, False),
    "random-data": Method("random", True,  True,  True,  True),
    "own-data":    Method("own",    True,  True,  False, False),
    "llm":         Method("llm",    False, False, False, False, learn=False),
    "random":      Method("random", False, False, False, False, learn=False),
}  # fmt: skip
METHODS |= {  # loro without one of its parts
    "no-conservatism": METHODS["loro"]._replace(conservative=False),
    "no-trust": METHODS["loro"]._replace(trust=False),
    "no-symmetric-sampling": METHODS["loro"]._replace(symmetric=False),
    "no-layer-norm": METHODS["loro"]._replace(layer_norm=False),
    "no-advantage-learning": METHODS["loro"]._replace(advantage_learning=False),
}


class Settings(NamedTuple):
    """The budget of a run and the hyperparameters of its loop, the same for every environment and method."""

    evaluations: int
    llm_episodes: int = 10  # tau
    pretrain_steps: int = 5000
    conservatism: float = 0.5  # alpha
    epsilon: float = 0.05  # in the end
    epsilon_steps: int = 2000
    batch_size: int = 64
    action_gap: float = 0.9  # what advantage learning takes from the lesser actions (agents/loss.py)
    llm_share: float = 0.5  # of a batch: symmetric sampling (Ball et al. 2023, RLPD)
    buffer_size: int = 100_000
    steps_per_evaluation: int = 200
    episodes_per_evaluation: int = 5
    trust_window: int = 10  # episodes


def trust(llm_returns, own_returns, random_return):
    """How far to follow the LLM, 0..1: as surely as it beats a random policy, and until the learner beats it.

    A good teacher is followed at once, since the learner counts as random until it has played. A bad one is dropped as
    soon as the learner clearly outdoes it, and so is a good one. One no better than random is never followed. (The
    learner's episodes are those in which it explored, so it is judged a little below its greedy play.)
    """
    beats_random = max(0.0, 2 * probability_above(llm_returns, [random_return]) - 1)
    not_outdone = min(1.0, 2 * probability_above(llm_returns, own_returns))
    return beats_random * not_outdone


def full_return(episode, limit):
    """The return of an Episode, as if one that was cut off had gone on in the same way for `limit` steps.

    Trust compares returns, and those of recordings that stop before the environment does would look better or worse.
    """
    return episode.total * (limit / len(episode.actions) if episode.truncated else 1)


def probability_above(a, b):
    """Phi(z) for z = (mean(a) - mean(b)) / standard error: Welch's statistic (1947), taken as normal. 1/2 if equal.

    a, b: sequences of floats; one of a single number counts as exact.
    """
    errors = [np.std(x, ddof=1) / math.sqrt(len(x)) if len(x) > 1 else 0.0 for x in (a, b)]
    return NormalDist(np.mean(b), math.hypot(*errors) or 1e-9).cdf(np.mean(a))


def run(environment, method, seed, settings, llm_episodes=(), progress=lambda returns: None):
    """One run of a Method in an Environment: (returns, one float an evaluation; the agent).

    All randomness comes from `seed`. llm_episodes: what a method with data "llm" learns from, a list of Episode.
    progress is called with the returns so far before each evaluation.
    """
    agent_rng, data_rng, act_rng, replay_rng, env_rng = map(
        np.random.default_rng, np.random.SeedSequence(seed).spawn(5)
    )
    env = environment.make()
    test_envs = [environment.make() for _ in range(settings.episodes_per_evaluation)]
    for each in (env, *test_envs):
        each.reset(seed=int(env_rng.integers(2**31)))
    scales = environment.reward_scale, environment.low, environment.high
    action_gap = settings.action_gap * method.advantage_learning
    agent = make_agent(env, agent_rng, *scales, action_gap, method.layer_norm)

    def act(observation, epsilon, rng):
        if rng.random() < epsilon:
            return int(rng.integers(env.action_space.n))
        return int(agent.act(np.asarray(observation)[None])[0])

    # 1. Collect
    data = llm_episodes if method.data == "llm" else []
    if method.data in ("random", "own"):
        epsilon = 1.0 if method.data == "random" else settings.epsilon
        for episode_seed in data_rng.integers(2**31, size=settings.llm_episodes):
            data.append(play(env, lambda observation: act(observation, epsilon, data_rng), int(episode_seed)))
    returns = [episode.total for episode in data]
    if not method.learn:
        return [float(np.mean(returns))] * settings.evaluations, agent

    # 2. Pretrain
    llm_returns = [full_return(episode, env.spec.max_episode_steps) for episode in data]
    own_returns = deque([environment.random_return] * settings.trust_window, maxlen=settings.trust_window)

    def weight():
        if not data:
            return 0.0
        return trust(llm_returns, own_returns, environment.random_return) if method.trust else 1.0

    followed = weight()
    alpha = settings.conservatism if method.conservative else 0.0
    replay = ReplayBuffer(settings.buffer_size, env.observation_space)
    for transition in transitions(data):
        replay.add(*transition, from_llm=True)
    if method.pretrain and followed:
        for _ in range(settings.pretrain_steps):
            agent.learn(replay.sample(settings.batch_size, 1.0, replay_rng), alpha * followed)
    if not method.keep:
        replay = ReplayBuffer(settings.buffer_size, env.observation_space)

    # 3. Fine-tune
    observation, own_return, step = env.reset()[0], 0.0, 0
    while True:
        progress(returns)
        returns.append(evaluate(agent, test_envs))
        if len(returns) >= settings.evaluations:
            return returns, agent
        for _ in range(settings.steps_per_evaluation):
            # Explore at random at first, but for a teacher who has earned trust.
            exploration = (1 - followed * method.trust) * (1 - step / settings.epsilon_steps)
            epsilon = max(settings.epsilon, exploration)
            action = act(observation, epsilon, act_rng)
            next_observation, reward, terminated, truncated, _ = env.step(action)
            replay.add(observation, action, reward, next_observation, terminated)
            observation, own_return, step = next_observation, own_return + reward, step + 1
            if terminated or truncated:
                own_returns.append(own_return)
                followed = weight()
                observation, own_return = env.reset()[0], 0.0
            # The more the learner has played itself, the less it needs to fear what the LLM has not tried.
            fading = len(data) / len(returns)
            share = settings.llm_share if method.symmetric else replay.from_llm / len(replay)
            batch = replay.sample(settings.batch_size, share * followed, replay_rng)
            agent.learn(batch, alpha * followed * fading)


def transitions(episodes):
    """Each (s, a, r, s', terminated) of `episodes`. A time limit makes no state terminal."""
    for e in episodes:
        last = len(e.actions) - 1
        for t, (a, r) in enumerate(zip(e.actions, e.rewards)):
            yield e.observations[t], a, r, e.observations[t + 1], e.terminated and t == last


def evaluate(agent, envs):
    """The mean return of one greedy episode in each of `envs`, played side by side."""
    observations = [env.reset()[0] for env in envs]
    playing, total = list(range(len(envs))), 0.0
    while playing:
        for i, action in zip(list(playing), agent.act(np.array([observations[i] for i in playing]))):
            observations[i], reward, terminated, truncated, _ = envs[i].step(int(action))
            total += float(reward)
            if terminated or truncated:
                playing.remove(i)
    return total / len(envs)


def main(arguments=None):
    options = terminal.parse(arguments, METHODS, Settings._field_defaults)
    environment = find_environment(options.env, options.reasoning)
    settings = Settings(
        evaluations=options.evaluations or environment.evaluations,
        llm_episodes=options.llm_episodes,
        pretrain_steps=options.pretrain_steps,
        conservatism=options.conservatism,
    )
    plays_on = any(METHODS[name].data and METHODS[name].learn for name in options.method)
    if plays_on and settings.evaluations <= settings.llm_episodes:
        raise ValueError(f"--evaluations {settings.evaluations} leaves none after --llm-episodes; give more")
    model, episodes = None, []
    if any(METHODS[name].data == "llm" for name in options.method):
        model, episodes = llm_episodes(options, environment)
    outcomes = {name: [] for name in options.method}
    for name in outcomes:
        for seed in range(options.seed, options.seed + options.seeds):
            outcomes[name].append(result(options, environment, settings, name, seed, model, episodes))
    terminal.status()
    terminal.show(environment, outcomes)
    print(f"\nEach run is kept in {options.out / options.env}; the same command does not repeat it.")


def llm_episodes(options, environment):
    """The name of the model and its episodes: played now, if a server is named, and from the rollout file otherwise."""
    folder, n = FOLDER / "rollouts", options.llm_episodes
    if options.model or options.base_url:
        path = options.rollouts or folder / re.sub(r"[^\w.-]+", "-", f"{options.env}-{options.model}.jsonl")
        header, episodes = ask_server(environment, path, options, terminal.status)
    else:
        path = options.rollouts or folder / f"{options.env}.jsonl"
        if not path.is_file():
            raise ValueError(f"there is no file {path}; give --rollouts another, or --base-url and --model")
        header, episodes = read_rollouts(path, options.env, environment.make())
    if len(episodes) < n:
        raise ValueError(f"{path} holds {len(episodes)} episodes; give --llm-episodes {len(episodes)} or fewer")
    mean, where = np.mean([episode.total for episode in episodes[:n]]), os.path.relpath(path)
    print(f"{options.env}: {n} episodes by {header.get('model')}, mean return {mean:.2f} ({where})")
    return header.get("model"), episodes[:n]


def result(options, environment, settings, name, seed, model, episodes):
    """The result of one run, a dict: from its file if that is there, else played and written.

    Raises ValueError if the file that is there was made another way.
    """
    method = METHODS[name]
    config = {**settings._asdict(), **method._asdict()}
    if method.data == "llm":
        config["rollouts"] = crc32([record_of(episode) for episode in episodes])
    config["code"] = crc32([source.read_text(encoding="utf-8") for source in SOURCES])
    path, cells = options.out / options.env / f"{name}-{seed}.json", "".join(environment.grid)
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            complete = len(found["returns"]) == settings.evaluations and np.isfinite(found["returns"]).all()
            complete = complete and len(found.get("policy", cells)) == len(cells)
            same = found["config"] == config
        except (ValueError, KeyError, TypeError, RecursionError):
            complete = False
        if not complete:
            raise ValueError(f"{path} is not a whole result file; move it away")
        if not same:
            raise ValueError(f"{path} was made with other settings, rollouts or code; give another --out")
        return found
    check_writable(path)

    def progress(returns):
        terminal.status(f"{options.env} {name} seed {seed}: evaluation {len(returns)} of {settings.evaluations}")

    started = time.perf_counter()
    returns, agent = run(environment, method, seed, settings, episodes, progress)
    outcome = {
        "env": options.env,
        "method": name,
        "seed": seed,
        "model": model if method.data == "llm" else None,
        "config": config,
        "returns": returns,
        "llm_episodes": settings.llm_episodes if method.data == "llm" else 0,
        "cumulative_reward": sum(returns),
        "best_return": environment.best_return,
        "seconds": round(time.perf_counter() - started, 1),
    }
    if environment.grid and method.learn:
        outcome["policy"] = agent.act(np.arange(len(cells))).tolist()
    write_whole(path, json.dumps(outcome) + "\n")
    return outcome


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # arrows and bars, on a terminal that has none
    try:
        main()
    except (ValueError, OSError) as error:
        terminal.status()
        print(f"loro.py: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        terminal.status()
        print("loro.py: stopped; finished runs are kept, and the same command goes on from there", file=sys.stderr)
        sys.exit(130)
