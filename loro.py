"""LORO: LLM Off-policy pre-train, RL On-policy (Duong, Yang & Zhang 2025, arXiv 2505.10861).

    1. collect     D <- the transitions of ten episodes that a language model played
    2. pretrain    repeat: update Q on a batch from D
    3. fine-tune   repeat: act epsilon-greedily, add the transition to D, update Q on a batch from D

`run` is these three phases, for every method: a method is a row of METHODS. `main` is the command line."""

import os
import signal
import sys
from functools import partial
from itertools import product
from typing import NamedTuple

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the imports without a traceback
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy loads: matrices this small only lose by threads
import numpy as np

import agents
import collect
import episodes
import files
import report
import terminal
from agents.replay import ReplayBuffer
from agents.trust import Judge
from envs_text import ENVIRONMENTS, find_environment
from llm_client import Asking

np.empty(30_000_000, np.uint8)  # freed at once: from then on glibc reuses blocks up to that size; wide layers gain


class Method(NamedTuple):
    """What a method does with its first episodes, and whether it goes on. The comment beside its row is its --help."""

    data: str | None  # who plays them: "llm", "random", "own" (the learner before it has learnt), or None: nobody
    pretrain: bool = False  # Does the learner learn from them before it plays?
    clone: bool = False  # Is there a clone, which imitates them?
    keep: bool = False  # Do they stay in the replay buffer after pretraining?
    fine_tune: bool = True  # Does the learner play and learn on?


METHODS = {
    "online": Method(None),  # the baseline: the same learner without the LLM
    "loro": Method("llm", pretrain=True, keep=True),  # the published algorithm
    "loro-plus": Method("llm", pretrain=True, clone=True, keep=True),  # ours: a clone plays while it is surely no worse
    "forget": Method("llm", pretrain=True),  # loro that drops the episodes after pretraining
    "mix": Method("llm", keep=True),  # loro without pretraining
    "random-data": Method("random", pretrain=True, keep=True),  # loro on a random policy's episodes
    "own-data": Method("own", pretrain=True, keep=True),  # loro on the learner's own first episodes
    "clone-first": Method("llm", clone=True),  # online beside a clone: loro-plus without the LLM in the learner
    "clone": Method("llm", clone=True, fine_tune=False),  # the clone alone: it imitates the LLM, and learns no more
    "llm": Method("llm", fine_tune=False),  # the LLM's mean return
    "random": Method("random", fine_tune=False),  # a random policy's mean return
}


class Settings(NamedTuple):
    """The budget and all methods' hyperparameters. Each is an option, its comment the help; a float is from 0 to 1."""

    evaluations: int  # how many there are in a run (the paper's number, by environment)
    llm_episodes: int = 10  # episodes of the LLM to start from, drawn by the run's seed
    pretrain_updates: int = 1000  # updates of the learner on those episodes
    clone_updates: int = 10_000  # updates of the clone on them
    clone_every: int = 10  # while it is trusted, the clone plays one episode in so many
    prior_episodes: int = 5  # copies of random play's mean return that precede the learner's returns, for trust
    steps_per_evaluation: int = 200  # environment steps between two evaluations
    episodes_per_evaluation: int = 5  # greedy episodes, whose mean return is an evaluation
    early_updates: int = 8  # updates after each of the first steps of fine-tuning; later it is one
    early_steps: int = 3000  # how many steps those are
    batch_size: int = 64  # transitions in a batch
    buffer_size: int = 100_000  # transitions of the run's own in the replay buffer; the first episodes stay beside them
    discount: float = 0.99  # gamma, the worth of a reward that comes a step later
    advantage_learning: float = 0.9  # advantage learning: share of its gap that an action loses; 0: Q-learning
    epsilon: float = 0.05  # share of random actions, in the end
    epsilon_steps: int = 2000  # epsilon falls by 1 / epsilon_steps a step of fine-tuning, from 1
    table_learning_rate: float = 0.05  # share of an error that the table corrects at once
    hidden: tuple[int, ...] = (64, 64)  # units of the network's hidden layers
    layer_norm: bool = True  # LayerNorm in the network
    learning_rate: float = 0.001  # Adam's, for the network, at first
    decay_steps: int = 10_000  # steps of fine-tuning after which the learning rate and the acting rate are half
    target_rate: float = 0.02  # how far an update moves the target network
    acting_rate: float = 0.005  # how far an update moves the acting network, at first


def run(environment, method, settings, seed, recorded=(), progress=lambda text: None):
    """One run of a Method in an Environment, all of its randomness from `seed`. recorded: a list of the LLM's Episodes.

    Returns (result, agent). result: "returns", a float an evaluation; "trust", likewise, or None if there is no choice;
    "updates", a count; "clone": is the agent the clone? agent: the one trusted in the end. progress is told of each
    evaluation. Raises UserError if too few episodes are recorded, an evaluation is not finite, or as `check` does."""
    check(method, settings)
    if method.data == "llm" and len(recorded) < settings.llm_episodes:
        raise files.UserError(f"of the LLM's episodes {len(recorded)} are recorded, not {settings.llm_episodes}")
    learner_rng, data_rng, act_rng, batch_rng, env_rng, clone_rng = np.random.default_rng(seed).spawn(6)
    env, *test_envs = [environment.make() for _ in range(1 + settings.episodes_per_evaluation)]
    for each in (env, *test_envs):
        each.reset(seed=int(env_rng.integers(2**31)))
    learner, clone = (agents.make_agent(env, environment, settings, rng) for rng in (learner_rng, clone_rng))

    # 1. Collect
    first_episodes = []
    if method.data == "llm":
        first_episodes = [recorded[i] for i in sorted(data_rng.permutation(len(recorded))[: settings.llm_episodes])]
    elif method.data:
        policy = partial(episodes.act, learner, {"random": 1.0, "own": settings.epsilon}[method.data], data_rng)
        seeds = data_rng.integers(2**31, size=settings.llm_episodes)
        first_episodes = [episodes.play(env, policy, int(each)) for each in seeds]
    returns = [episode.total for episode in first_episodes]
    if not (method.pretrain or method.clone or method.fine_tune):
        returns = [float(np.mean(returns))] * settings.evaluations
        return {"returns": returns, "trust": None, "updates": 0, "clone": False}, learner
    replay = ReplayBuffer(settings.buffer_size, env.observation_space, episodes.transitions(first_episodes))
    # Without a clone there are none: no trust, no failed_alike. Equal returns, at most random play's, teach nothing.
    teacher_returns = [each.full_return(env.spec.max_episode_steps) for each in first_episodes] if method.clone else []
    failed_alike = len(set(teacher_returns)) == 1 and teacher_returns[0] <= environment.random_return
    judge = Judge(teacher_returns, environment.random_return, environment.random_std, settings.prior_episodes)
    clone_alone = method.clone and not method.fine_tune  # it plays, trusted or not

    # 2. Pretrain
    if method.pretrain and not failed_alike:
        for _ in range(settings.pretrain_updates):
            learner.update(replay.sample(settings.batch_size, batch_rng))
    if judge.trust or clone_alone:
        for _ in range(settings.clone_updates):
            clone.update(replay.sample(settings.batch_size, clone_rng), imitate=True)
    if failed_alike or not method.keep:
        replay = ReplayBuffer(settings.buffer_size, env.observation_space)

    # 3. Fine-tune; the first evaluation precedes the first step
    trust = [judge.trust] * len(first_episodes)
    step, episodes_begun, ended = 0, 0, True
    for evaluation in range(len(first_episodes), settings.evaluations):
        steps = settings.steps_per_evaluation if method.fine_tune and evaluation > len(first_episodes) else 0
        for _ in range(steps):
            if ended:
                observation, rewards = env.reset()[0], []
                player = clone if judge.trust and episodes_begun % settings.clone_every == 0 else learner
                episodes_begun += 1
            epsilon = max(settings.epsilon, 1 - step / settings.epsilon_steps) if player is learner else 0.0
            action = episodes.act(player, epsilon, act_rng, observation)
            observation = np.copy(observation)  # env.step may write the next one into the same array
            next_observation, reward, terminated, truncated, _ = env.step(action)
            replay.add(observation, action, reward, next_observation, terminated)
            rewards.append(float(reward))
            observation, ended = next_observation, terminated or truncated
            if ended:  # summed as Episode.total, to the last digit, so that equal episodes tie
                (judge.clone_returns if player is clone else judge.learner_returns).append(float(np.sum(rewards)))
            for _ in range(settings.early_updates if step < settings.early_steps else 1):
                learner.update(replay.sample(settings.batch_size, batch_rng), step=step)
            step += 1
        progress(f"evaluation {evaluation} of {settings.evaluations}")
        trusted = clone if judge.trust or clone_alone else learner
        trust.append(judge.trust)
        returns.append(episodes.evaluate(trusted, test_envs))
    result = {"returns": returns, "trust": trust if method.clone and method.fine_tune else None}
    return result | {"updates": learner.updates + clone.updates, "clone": trusted is clone}, trusted


def check(method, settings):
    """Raises UserError if a method has no episodes to learn from, or if they leave no evaluation to what is learnt."""
    if not method.data and (method.pretrain or method.clone or not method.fine_tune):
        raise files.UserError(f"{method} has no first episodes: such a method can only fine_tune")
    n_first = settings.llm_episodes if method.data and (method.pretrain or method.clone or method.fine_tune) else 0
    if settings.evaluations <= n_first:
        raise files.UserError(f"--evaluations {settings.evaluations} leaves none after --llm-episodes; give more")


def main():
    options, given, asked = terminal.parse(METHODS, Settings, Asking)
    environment = find_environment(options.env, options.reasoning)
    settings = Settings(**{"evaluations": environment.evaluations, **given})
    source = ENVIRONMENTS.get(options.env) or sys.modules[options.env.rpartition(":")[0]]  # one's own: by now imported
    made_of = environment.numbers() | {"code": files.code_checksum(run, source, agents, *episodes.PLAYING)}
    plan, recorded, results = [], [], []
    for name, seed in product(options.method, range(options.seed, options.seed + options.seeds)):
        check(METHODS[name], settings)
        model, n = (asked.get("model"), settings.llm_episodes) if METHODS[name].data == "llm" else (None, 0)
        known = {"env": options.env, "method": name, "seed": seed, "best_return": environment.best_return}
        known |= {"model": model, "llm_episodes": n, "config": settings._asdict() | METHODS[name]._asdict() | made_of}
        files.kept_result(options.out, known, options.resume)  # what it refuses, it refuses before anything is paid for
        plan.append(known)
    if of_llm := [known for known in plan if known["llm_episodes"]]:
        model, recorded = collect.ask_or_read(environment, options.env, options.rollouts, settings, Asking(**asked))
        checksum = files.checksum([episodes.record_of(each) for each in recorded])
        for known in of_llm:
            known |= {"model": model, "config": known["config"] | {"episodes": checksum}}
            files.kept_result(options.out, known, options.resume)  # now of these episodes
    for i, known in enumerate(plan, 1):
        method, what = METHODS[known["method"]], "{} of {}: {env} {method} seed {seed}".format(i, len(plan), **known)
        make = partial(run, environment, method, settings, known["seed"], recorded, partial(terminal.status, what))
        results.append(files.kept_or_made(options.out, known, options.resume, make))
        terminal.status(what, "is done" if results[-1][1] else "was there", log=len(plan) > 1)
    terminal.show(environment, results, options.out / files.file_name(options.env))
    if options.figure:
        report.save(report.group([{"folder": "", **each} for each, _ in results], options.method), options.figure)


if __name__ == "__main__":
    terminal.guard(main, "loro.py")
