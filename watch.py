"""What was learnt or recorded, to look at: a kept policy plays new episodes, or a language model's are shown again.

    python watch.py results/CartPole-v1/loro-plus-0.npz
    python watch.py rollouts/FrozenLake-v1.jsonl --episode 1"""

import io
import os
import shutil
import signal
import sys
import textwrap
from functools import partial
from pathlib import Path
from types import SimpleNamespace

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the imports without a traceback

import gymnasium as gym
import numpy as np

import terminal
from agents import DQN, make_agent
from envs_text import ENVIRONMENTS, find_environment
from episodes import act, play, read_rollouts, recorded_environment
from files import UserError, need, read_policy, write_whole
from replies import names_none


def load_agent(path, environment):
    """The learner that loro.py kept at `path`, in the Environment that it was kept from: it plays as at the run's end.

    agent.values(observations), (n, actions), is that by which it acts: for the best action what it expects, the
    discounted return times the environment's reward_scale, for others less than that, by advantage learning; or if
    agent.clone, the logits of how sure it is that the LLM would do them, which say nothing of rewards. Raises
    UserError, or OSError if unreadable."""
    result, learnt = read_policy(Path(path))
    config, now = result["config"], environment.numbers()
    try:
        agent = make_agent(environment.make(), environment, SimpleNamespace(**config), np.random.default_rng())
        alike = (np.array_equal(config[name], now[name]) for name in ("low", "high", "reward_scale"))
        fit = agent.learnt.shape == learnt.shape and all(alike)
    except (KeyError, AttributeError, TypeError, ValueError):
        fit = False
    need(fit, f"{path} is of another environment than there is now, or of other code; run that seed again")
    if isinstance(agent, DQN):  # of the three only the acting one was kept; it may learn on
        agent.online.parameters[:] = agent.target.parameters[:] = learnt
    agent.learnt[:], agent.clone = learnt, result.get("clone")
    return agent


def environment_of(file, own):
    """(name, Environment) of the policy or recording `file`. own: the MODULE:NAME that the user gave, or None: what a
    file names is no reason to import a module. Raises UserError, saying what to give, if there is none."""
    need(file.suffix != ".json", f"{file} is a result; its policy is {file.parent / file.stem}.npz, if it has one")
    need(file.is_file(), f"there is no file {file}; give a policy, a .npz in results/ENV, or recorded episodes")
    name = str(read_policy(file)[0].get("env")) if file.suffix == ".npz" else recorded_environment(file)
    need(name in (own, *ENVIRONMENTS), f"{file} is of {name!r}; give --env {name}, if its module may be imported")
    return name, find_environment(name)


def steps(environment, episode, agent):
    """The lines that tell an Episode: at each step the sentence, the map, the answer or the values, and what came."""
    for t, (observation, action) in enumerate(zip(episode.observations, episode.actions)):  # not the last observation
        yield from ("", f"step {t}: {environment.describe(observation)}")
        for i, row in enumerate(environment.grid or ()):
            yield " ".join("@" if i * len(row) + j == observation else cell for j, cell in enumerate(row))
        if episode.replies:
            unclear = names_none(episode.replies[t], environment.actions)
            doubt = ", which names no action; a random one stands in" if unclear else ""
            yield f"it says {episode.replies[t]!r}{doubt}"
        if agent:
            values = agent.values(observation[None])[0]
            likely = np.exp(values - np.logaddexp.reduce(values))  # softmax, for a clone's logits
            told, numbers = ("it imitates", likely) if agent.clone else ("Q(s, .)", values / agent.reward_scale)
            yield f"{told}: " + ", ".join(f"{word} {number:.2f}" for word, number in zip(environment.actions, numbers))
        yield f"action {action}, {environment.actions[action]}: reward {episode.rewards[t]:g}"
    yield from ("", f"{'terminated' if episode.terminated else 'truncated'}, return {episode.total:g}", "")


def frames(environment, episode, render_mode):
    """Plays an Episode again, and yields what Gymnasium draws: arrays (height, width, 3), or None in a window."""
    need(episode.seed is not None, "an episode without its seed cannot be played again")
    need(render_mode in environment.make().metadata.get("render_modes", ()), "no pictures: this environment draws none")
    env = environment.make(render_mode=render_mode)
    env.reset(seed=episode.seed)
    yield env.render()
    for action in episode.actions:
        env.step(int(action))
        yield env.render()
    env.close()


def gif(pictures, pause):
    """The bytes of a moving picture, of arrays, with a `pause` in milliseconds after each."""
    from PIL import Image  # here, since all else does without it

    first, *rest = [Image.fromarray(each).quantize(64) for each in pictures]
    first.save(data := io.BytesIO(), "GIF", save_all=True, append_images=rest, duration=pause, loop=0)
    return data.getvalue()


def main():
    parser = terminal.Parser(description="Shows what a kept policy does, or what an LLM did.")
    add = parser.add_argument
    add("file", type=Path, help="a policy, results/ENV/METHOD-SEED.npz, or recorded episodes, rollouts/ENV.jsonl")
    add("--env", metavar="MODULE:NAME", help="the environment, if it is one of your own")
    add("--episodes", type=terminal.number(int, 1), default=20, help="how many a policy plays (%(default)s)")
    add("--episode", type=terminal.number(int, 0), metavar="N", help="show one alone, step by step; the first is 0")
    add("--pictures", type=terminal.writable(".gif"), metavar="FILE.gif", help="draw that one, or the first, into it")
    add("--human", action="store_true", help="show it in a window")
    options = parser.parse_args()
    file, chosen = options.file, options.episode or 0
    if not options.human:
        os.environ["SDL_VIDEODRIVER"] = "dummy"  # pictures need no screen
    elif sys.platform == "linux" and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"))):
        raise UserError("there is no screen for --human; give --pictures FILE.gif")
    name, environment = environment_of(file, options.env)
    env, agent = environment.make(), None
    if file.suffix == ".npz":
        agent = load_agent(file, environment)
        greedy = partial(act, agent, 0.0, np.random.default_rng(0))
        seeds = range(1000, 1000 + max(options.episodes, chosen + 1))  # recordings have lower ones: a clone knows those
        header, episodes = {"model": file}, [play(env, greedy, seed) for seed in seeds]  # told as who played
    else:
        header, episodes = read_rollouts(file, name, env)
    need(chosen < len(episodes), f"{file} holds {len(episodes)} episodes; the last is --episode {len(episodes) - 1}")
    episode = episodes[chosen]
    if options.episode is None:
        lines = [*terminal.arrows(environment, agent), ""] if agent and environment.grid else []
        lines += [f"episode {i}: return {each.total:g}, {len(each.actions)} steps" for i, each in enumerate(episodes)]
    else:
        rules = header.get("rules") or header.get("system") or environment.rules  # "system": in older recordings
        lines = [*str(rules).splitlines(), *steps(environment, episode, agent)]
    mean = terminal.rounded(np.mean([each.total for each in episodes]), 2)
    columns = shutil.get_terminal_size().columns
    shown = [textwrap.fill(line, columns) for line in map(terminal.printable, lines)]
    who = terminal.printable(header.get("model") or "an unnamed player")
    try:
        if options.pictures:  # first, since `| head` may end what is printed
            rate = min(20, environment.make().metadata.get("render_fps") or 20)  # 50 a second are too fast to watch
            write_whole({options.pictures: gif(frames(environment, episode, "rgb_array"), 1000 / rate)})
        print(*shown, f"{name}: {len(episodes)} episodes by {who}, mean return {mean}", sep="\n", flush=True)
        if options.human:
            list(frames(environment, episode, "human"))  # each is shown as it is drawn
    except (ImportError, gym.error.DependencyNotInstalled) as error:
        raise UserError(f"no pictures ({error}); pip install pillow pygame-ce") from None


if __name__ == "__main__":
    terminal.guard(main, "watch.py")
