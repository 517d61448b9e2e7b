"""A language model plays: observation -> sentence -> reply -> action; episodes side by side, each kept as it ends."""

import json
import sys
import threading
import time
from concurrent import futures
from datetime import date
from pathlib import Path

import numpy as np

import terminal
from episodes import play, read_rollouts, write_rollouts
from files import UserError, check_writable, file_name, need
from llm_client import CUT_OFF, ChatClient
from replies import names_none, parse_action


class Player:
    """A ChatClient that plays an Environment; several threads may use it at once.

    Of several votes the action named most often is taken, the earliest of equals. At temperature 0 equal prompts have
    equal answers, and are asked once. replies: all that there were; invalid: those that name no action."""

    def __init__(self, client, environment):
        self.client, self.environment, self.asking = client, environment, client.asking
        self.answers, self.lock = {}, threading.Lock()  # {prompt: the Future of its answer}
        self.voters = futures.ThreadPoolExecutor(self.asking.concurrency * self.asking.votes)
        self.replies, self.invalid = [], []

    def episode(self, seed):
        """The Episode of this seed, with its replies. Where the model twice names no action, the action is random."""
        env, rng, replies = self.environment.make(), np.random.default_rng([seed, 1]), []

        def act(observation):
            action, said = self.choose(self.environment.describe(observation))
            replies.append(said if self.asking.votes > 1 else said[0])
            return rng.integers(env.action_space.n) if action is None else action

        return play(env, act, seed)._replace(replies=replies)

    def choose(self, sentence):
        """The action for an observation in words, None if the model names none in two tries; and the last replies."""
        rules = self.environment.rules
        need(isinstance(sentence, str), f"it describes an observation as {sentence!r}, not in words")
        messages = [{"role": "user", "content": f"{rules}\n\n{sentence}"}]  # not all models know a system role
        for _ in range(2):
            answers = [self.submit(messages) for _ in range(self.asking.votes)]  # all at once
            votes = [answer.result() for answer in answers]
            replies = [reply for _, reply in votes]
            if named := [action for action, _ in votes if action is not None]:
                return max(named, key=named.count), replies
            said, again = replies[-1] or "(nothing)", f"That names no action. {rules.splitlines()[-1]}"
            messages += [{"role": "assistant", "content": said}, {"role": "user", "content": again}]
        return None, replies

    def submit(self, messages):
        """The Future of `vote`. If the model repeats its answers, equal prompts share one, unless that has failed."""
        prompt = json.dumps(messages)
        with self.lock:
            answer = self.answers.get(prompt) if self.client.repeatable else None
            if answer is None or (answer.done() and answer.exception()):
                answer = self.answers[prompt] = self.voters.submit(self.vote, messages)
        return answer

    def vote(self, messages):
        """(action, reply) of the model, the action None if the reply names none."""
        reply = self.client.ask(messages)
        action = parse_action(reply, self.environment.actions)
        self.replies.append(reply)
        if action is None:
            self.invalid.append(reply)
        in_vain = len(self.invalid) == len(self.replies) >= 20 and all(each.endswith(CUT_OFF) for each in self.invalid)
        need(not in_vain, "its replies name no action, all are cut off; give more --max-tokens, and another --rollouts")
        return action, reply


def collect(player, env_name, path, n, progress=lambda text, log: None):
    """Plays until the rollout file at the Path `path` holds n episodes: of seeds 0..n-1 those it lacks, side by side.

    Each is written as it ends: whatever stops the work, the file is whole. Returns its (header, episodes). Raises
    UserError if the server fails, or if the file was made otherwise."""
    client, logged = player.client, {""}  # logged: the problems that were told; "" is none

    def spent():  # in all; its seconds count from anywhere, so only differences are costs
        return {**client.costs, "invalid_replies": len(player.invalid), "seconds": time.perf_counter()}

    header, kept = read_kept(player, env_name, path)
    missing = [seed for seed in range(n) if seed not in kept][: max(n - len(kept), 0)]  # n are enough, of any seeds
    if missing:
        check_writable(path)
    workers, booked = futures.ThreadPoolExecutor(player.asking.concurrency), spent()
    playing, ended = [workers.submit(player.episode, seed) for seed in missing], []
    try:
        while playing:
            progress(f"{len(kept)} of {n} episodes, {news(player)}", log=bool(ended) or client.problem not in logged)
            logged.add(client.problem)
            ended, playing = futures.wait(playing, timeout=0.2, return_when=futures.FIRST_COMPLETED)
            if episodes := [future.result() for future in ended if not future.exception()]:
                header, found = read_kept(player, env_name, path)  # another process may have added to it
                kept = {**kept, **{episode.seed: episode for episode in episodes}, **found}
                before, booked = booked, spent()  # the file's costs grow by what was spent since its last writing
                header |= {cost: round(header.get(cost, 0) + booked[cost] - before.get(cost, 0), 2) for cost in booked}
                header["request"] = dict(client.body)  # which another thread may change meanwhile
                write_rollouts(path, header, [kept[seed] for seed in sorted(kept)])
            for future in ended:
                future.result()  # raises what went wrong
    finally:
        if playing:  # something went wrong, and what they ask from now on is in vain
            player.voters.shutdown(wait=False, cancel_futures=True)
        workers.shutdown(wait=False, cancel_futures=True)
    return header, [kept[seed] for seed in sorted(kept)]


def read_kept(player, env_name, path):
    """(header, {seed: episode}) of the file that the player goes on with, or of a new one. UserError if it cannot."""
    asking, rules = player.asking, player.environment.rules
    made_with = {"env": env_name, "model": asking.model, "rules": rules, "votes": asking.votes}
    made_with |= {"temperature": asking.temperature, "max_tokens": asking.max_tokens, "extra": asking.extra}
    if not path.exists():
        return {**made_with, "recorded": str(date.today())}, {}
    header, episodes = read_rollouts(path, env_name, player.environment.make())
    header.setdefault("max_tokens", header.get("request", {}).get("max_tokens", asking.max_tokens))  # in older files
    unlike = ", ".join(name for name in made_with if header.get(name) != made_with[name])
    unlike = unlike.replace("rules", "rules (by --reasoning, for one)")
    need(not unlike, f"{path} holds episodes made with another {unlike}; give --rollouts another file")
    return header, {episode.seed: episode for episode in episodes}


def news(player):
    """What a person wants to know while it plays: what is wrong with the server, or else with the replies."""
    client, n, invalid = player.client, len(player.replies), player.invalid
    if problem := client.problem:  # read once: a thread that asks may clear it
        return f"asking again: it {problem}"
    said = f"{len(invalid):,} of {n:,} replies invalid"
    if (silent := time.monotonic() - client.heard) > 10:
        said += f", nothing heard for {silent:.0f} s"
    if len(invalid) > max(n / 2, player.asking.concurrency):
        cut_off = "cut off by --max-tokens, " if invalid[-1].endswith(CUT_OFF) else ""
        said += f", {cut_off}such as {invalid[-1]!r:.100}"
    return said


def ask_or_read(environment, env_name, path, settings, asking):
    """(model, episodes) of the LLM, from which a run with these `settings` starts; prints what there is and its cost.

    If `asking`, an Asking, names a model or a server, it first plays what the rollout file at `path` lacks. path None:
    then rollouts/ENV-MODEL.jsonl, else the project's own rollouts/ENV.jsonl. UserError if the episodes are too few."""
    n = settings.llm_episodes
    if asking.model or asking.base_url:
        path = path or Path("rollouts") / file_name(f"{env_name}-{asking.model}.jsonl")
        header, episodes = collect_and_tell(Player(ChatClient(asking), environment), env_name, path, n)
    else:
        path = path or Path(__file__).parent / "rollouts" / file_name(f"{env_name}.jsonl")
        ways = "--rollouts another, --base-url and --model to make one, or --method online, which needs none"
        need(path.is_file(), f"there is no file {path}; give {ways}")
        header, episodes = read_rollouts(path, env_name, environment.make())
    need(len(episodes) >= n, f"{path} holds {len(episodes)} episodes; give --llm-episodes {len(episodes)} or fewer")
    mean, who = np.mean([episode.total for episode in episodes]), header.get("model") or "an unnamed player"
    where = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    print(terminal.printable(f"{len(episodes)} episodes by {who}, mean return {terminal.rounded(mean, 2)} ({where})"))
    for doubt in doubts(environment, episodes, settings.steps_per_evaluation):
        print(terminal.printable(f"warning: {doubt}"), file=sys.stderr)
    return header.get("model"), episodes


def collect_and_tell(player, env_name, path, n):
    """`collect`, which tells a person how it goes, what it has cost, and after a failure how to go on."""
    client, asking = player.client, player.asking
    problem = "--votes needs a --temperature above 0, and no seed: else all answers to a prompt are the same"
    need(asking.votes == 1 or not (client.repeatable or "seed" in client.body), problem)
    if not asking.model:
        raise UserError(f"give --model one of: {', '.join(client.models()) or f'(none found{client.doubt})'}")
    try:
        header, episodes = collect(player, env_name, path, n, terminal.status)
    except UserError as error:
        kept = path.exists() and client.costs  # else it was the command that was wrong
        resume = f"; what ended is kept in {path}, and the same command goes on from there" if kept else ""
        raise UserError(f"{error}{resume}") from None
    terminal.status()
    if player.replies:
        costs = "requests", "tokens_in", "tokens_out", "invalid_replies", "seconds"
        counts = [f"{header[cost]:,.0f} {cost}" if cost in header else f"unknown {cost}" for cost in costs]
        print(", ".join(counts).replace("_", " "))
    else:
        print("The episodes are there, so nothing was asked.")
    return header, episodes


def doubts(environment, episodes, steps):
    """What a person has to know of the LLM's `episodes` before a comparison. steps: those between two evaluations."""
    longest, limit = max(len(each.actions) for each in episodes), environment.make().spec.max_episode_steps
    if longest > steps:
        fair = f"give --steps-per-evaluation {longest}, to be fair to `online`"
        yield f"an episode of {longest} steps counts as one evaluation; {fair}"
    halted = [each for each in episodes if not each.terminated and len(each.actions) < limit]
    if halted:
        yield f"{len(halted)} episodes were cut off before step {limit}, the limit; they count with what they earned"
    replies = [reply for each in episodes for reply in each.replies or ()]
    unclear = [reply for reply in replies if names_none(reply, environment.actions)]
    if len(unclear) > len(replies) / 2:  # so most actions were random ones
        cure = "; it is cut off: give more --max-tokens, and another --rollouts" if CUT_OFF in str(unclear[-1]) else ""
        said = f"at {len(unclear)} of {len(replies)} steps the reply names no action, such as {unclear[-1]!r:.100}"
        yield f"{said}; random ones stand in{cure or '; docs/servers.md has what may help'}"
