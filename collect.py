"""A language model plays: observation -> sentence -> reply -> action; episodes side by side, each kept as it ends."""

import json
import os
import queue
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future
from datetime import date

import numpy as np

from envs_text import parse_action
from episodes import check_writable, play, read_rollouts, write_rollouts
from llm_client import ChatClient, ServerError

COSTS = ("requests", "tokens_in", "tokens_out", "invalid_replies", "seconds")


class Player:
    """A ChatClient that plays an Environment; several threads may use it at once.

    votes: how many answers to each prompt; the action named most often is taken, the earliest of equals. At
    temperature 0 equal prompts have equal answers, and are asked once. `replies`, `invalid_replies`: how many there
    have been.
    """

    def __init__(self, client, environment, votes=1):
        self.client, self.environment, self.votes = client, environment, votes
        self.answers, self.lock = {}, threading.Lock()
        self.replies = self.invalid_replies = 0
        self.stopped = threading.Event()

    def episode(self, seed):
        """The Episode of this seed, with its replies. Where the model twice names no action, the action is random."""
        env, rng, replies = self.environment.make(), np.random.default_rng(seed), []

        def act(observation):
            action, answers = self.choose(self.environment.describe(observation))
            replies.append(answers if self.votes > 1 else answers[0])
            return rng.integers(env.action_space.n) if action is None else action

        try:
            return play(env, act, seed)._replace(replies=replies)
        finally:
            env.close()

    def choose(self, sentence):
        """The action for an observation in words, None if the model names none in two tries; and the last replies."""
        rules = self.environment.rules
        messages = [{"role": "system", "content": rules}, {"role": "user", "content": sentence}]
        action, replies = self.vote(messages)
        if action is None:
            again = f"That names no action. {rules.splitlines()[-1]}"
            messages += [{"role": "assistant", "content": replies[-1]}, {"role": "user", "content": again}]
            action, replies = self.vote(messages)
        return action, replies

    def vote(self, messages):
        replies = [self.ask(messages) for _ in range(self.votes)]
        actions = [parse_action(reply, self.environment.actions) for reply in replies]
        named = Counter(action for action in actions if action is not None).most_common(1)
        with self.lock:
            self.replies += len(replies)
            self.invalid_replies += actions.count(None)
        return named[0][0] if named else None, replies

    def ask(self, messages):
        if self.stopped.is_set():
            raise InterruptedError
        if self.client.temperature > 0:
            return self.client.ask(messages)
        with self.lock:
            key, answer = json.dumps(messages), Future()
            first = self.answers.setdefault(key, answer) is answer
        if first:
            try:
                answer.set_result(self.client.ask(messages))
            except Exception as error:
                answer.set_exception(error)
        return self.answers[key].result()  # others wait here for the first


def collect(player, env_name, path, episodes, concurrency=10, progress=lambda text: None):
    """Plays the episodes 0..episodes-1 (their seeds) that the rollout file at the Path `path` lacks, some at once.

    Each is written as it ends: whatever stops the work, the file is whole, and the next call goes on from it. Returns
    the file's (header, episodes). Raises ServerError if the server fails for good, ValueError if the file holds another
    game, model or way of asking.
    """
    client, environment = player.client, player.environment
    asked = {"env": env_name, "model": client.model, "system": environment.rules, "votes": player.votes}
    asked |= {"temperature": client.temperature, "max_tokens": client.max_tokens}
    header, kept = {**asked, "recorded": str(date.today())}, {}
    if path.exists():
        header, recorded = read_rollouts(path, env_name, environment.make())
        kept = {episode.seed: episode for episode in recorded}
        for name, value in asked.items():
            if header.get(name) != value:
                what = "other rules (--reasoning?)" if name == "system" else f"another {name}"
                raise ValueError(f"{path} holds episodes with {what}; give --rollouts another file")
        if None in kept:
            raise ValueError(f"{path} holds episodes without seeds; give --rollouts another file")
    check_writable(path)
    before = {name: header[name] if type(header.get(name)) in (int, float) else 0 for name in COSTS}
    header |= before
    started, saved = time.perf_counter(), len(kept)

    def costs():
        now = (client.requests, client.tokens_in, client.tokens_out, player.invalid_replies)
        now += (round(time.perf_counter() - started, 2),)
        return {name: before[name] + cost for name, cost in zip(COSTS, now)}

    def save():
        nonlocal saved
        if len(kept) > saved:
            episodes = [kept[seed] for seed in sorted(kept.copy())]
            header.update(costs())
            write_rollouts(path, header, episodes)
            saved = len(episodes)

    missing = [seed for seed in range(episodes) if seed not in kept]
    seeds, ended = queue.SimpleQueue(), queue.SimpleQueue()
    for seed in missing:
        seeds.put(seed)

    def work():
        try:
            while True:
                seed = seeds.get_nowait()
                kept[seed] = player.episode(seed)
                ended.put(None)
        except queue.Empty:
            pass
        except Exception as error:
            ended.put(error)

    player.stopped.clear()
    goal = len(kept) + len(missing)
    for _ in range(min(concurrency, len(missing))):
        threading.Thread(target=work, daemon=True).start()  # a daemon does not hold up Ctrl-C
    try:
        while saved < goal:
            progress(f"{env_name}: {len(kept)} of {goal} episodes by {client.model}, {bill(costs())}")
            try:
                error = ended.get(timeout=0.2)
            except queue.Empty:
                continue
            save()
            if error:
                raise error
    finally:
        player.stopped.set()
        save()
    return header, [kept[seed] for seed in sorted(kept)]


def ask_server(environment, path, options, progress):
    """Collects as the command line's options say, and prints what it cost; returns the file's (header, episodes)."""
    if options.votes > 1 and options.temperature == 0:
        raise ValueError("--votes needs a --temperature above 0: without it all answers to a prompt are the same")
    url = options.base_url or os.environ.get("OPENAI_BASE_URL", "")
    connections = min(options.concurrency, options.llm_episodes)
    client = ChatClient(url, options.model, options.temperature, options.max_tokens, connections)
    if not options.model:
        raise ValueError(f"give --model one of: {', '.join(client.models()) or f'(none found at {url})'}")
    player = Player(client, environment, options.votes)
    try:
        header, kept = collect(player, options.env, path, options.llm_episodes, options.concurrency, progress)
    except ServerError as error:
        resume = f". What ended is kept in {path}; the same command goes on from there" if path.exists() else ""
        raise ServerError(f"{error}{resume}") from None
    progress("")
    if player.invalid_replies > player.replies / 2:
        invalid = f"{player.invalid_replies} of {player.replies} replies name no action"
        print(f"warning: {invalid}: {client.model} does not understand the game, and plays at random", file=sys.stderr)
    print(bill(header))
    return header, kept


def bill(costs):
    return ", ".join(f"{costs.get(name, 0):,} {name.replace('_', ' ')}" for name in COSTS)
