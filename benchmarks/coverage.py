"""How much of the optimal play recordings cover, in the grid worlds: `python benchmarks/coverage.py [FOLDER ...]`.

d(s, a) is the share of its steps that the optimal policy spends on action a in state s; n(s, a) is the share of a
recording's steps. Printed for each folder's recordings: the states that the optimal policy visits, and of them those
where an optimal action was recorded; the share of d on pairs that were; and max d / n, infinite if one pair is missing.
See docs/theory.md.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from envs_text import ENVIRONMENTS, find_environment
from episodes import read_rollouts


def model(env):
    """P (S, A, S) and r (S, A): the transitions that end no episode, and the expected reward, of a toy text."""
    n, m = env.observation_space.n, env.action_space.n
    P, r = np.zeros((n, m, n)), np.zeros((n, m))
    for s, actions in env.unwrapped.P.items():
        for a, outcomes in actions.items():
            for p, next_s, reward, terminated in outcomes:
                P[s, a, next_s] += p * (not terminated)
                r[s, a] += p * reward
    return P, r


def optimal_play(env, discount=0.99):
    """(d (S, A), optimal (S, A) bool): the optimal policy's share of steps, and which actions are optimal in a state.

    Where several are, d is spread evenly over them."""
    P, r = model(env)
    q = np.zeros(r.shape)
    for _ in range(5000):
        q = r + discount * P @ q.max(1)
    optimal = q > q.max(1, keepdims=True) - 1e-9
    policy = optimal / optimal.sum(1, keepdims=True)
    visits, state = np.zeros(len(q)), np.array(env.unwrapped.initial_state_distrib)
    for _ in range(env.spec.max_episode_steps):
        visits += state
        state = np.einsum("s,sa,sat->t", state, policy, P)
    return (visits / visits.sum())[:, None] * policy, optimal


def main(folders):
    print("| environment | recordings | states | with an optimal action | share of d covered | max d / n |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for name in (name for name in ENVIRONMENTS if find_environment(name).grid):
        env = find_environment(name).make()
        d, optimal = optimal_play(env)
        visited = d.sum(1) > 0
        for path in (folder / f"{name}.jsonl" for folder in folders):
            header, episodes = read_rollouts(path, name, env)
            n = np.zeros(d.shape)
            for episode in episodes:
                np.add.at(n, (episode.observations[:-1], episode.actions), 1 / sum(len(e.actions) for e in episodes))
            known, played = (n > 0) & optimal, d > 0
            ratio = (d[played] / n[played]).max() if n[played].all() else np.inf
            cells = name, header["model"], visited.sum(), (known.any(1) & visited).sum(), f"{d[known].sum():.3f}"
            print("|", " | ".join(map(str, [*cells, f"{ratio:.1f}"])), "|")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How much of the optimal play recordings cover, in the grid worlds.")
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT / "rollouts", ROOT / "rollouts/smollm2-135m"])
    main(parser.parse_args().folders)
