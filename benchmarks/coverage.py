"""How much of the optimal play recordings cover, in the grid worlds: `python benchmarks/coverage.py [FOLDER ...]`.

d(s, a) is the share of its steps that an optimal policy spends on action a in state s; n(s, a) is the share of a
recording's steps. Of equally good actions the policy takes recorded ones. Printed for each folder's recordings: the
states that the policy visits, and of them those where an optimal action was recorded; the share of d on pairs that
were; and max d / n, infinite if one pair is missing.
See docs/theory.md.
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import terminal
from benchmarks.best import model
from envs_text import ENVIRONMENTS, find_environment
from episodes import read_rollouts


def optimal_play(env, recorded=False, discount=0.99):
    """(d (S, A), optimal (S, A) bool): an optimal policy's share of steps, and which actions are optimal in a state.

    Of several it takes those that are `recorded`, (S, A) bool, if there are any, all alike."""
    P, r = model(env)
    q = np.zeros(r.shape)
    for _ in range(5000):
        q = r + discount * P @ q.max(1)
    optimal = q > q.max(1, keepdims=True) - 1e-9
    known = optimal & recorded
    taken = np.where(known.any(1, keepdims=True), known, optimal)
    policy = taken / taken.sum(1, keepdims=True)
    visits, state = np.zeros(len(q)), np.array(env.unwrapped.initial_state_distrib)
    for _ in range(env.spec.max_episode_steps):
        visits += state
        state = np.einsum("s,sa,sat->t", state, policy, P)
    return (visits / visits.sum())[:, None] * policy, optimal


def coverage(env, episodes):
    """(states, those of them with an optimal action, share of d, max d / n) of a list of Episode."""
    states = np.concatenate([episode.observations[:-1] for episode in episodes])
    actions = np.concatenate([episode.actions for episode in episodes])
    n = np.zeros((env.observation_space.n, env.action_space.n))
    np.add.at(n, (states, actions), 1 / len(actions))
    d, optimal = optimal_play(env, n > 0)
    visited, known, played = d.sum(1) > 0, (n > 0) & optimal, d > 0
    ratio = (d[played] / n[played]).max() if n[played].all() else np.inf
    return visited.sum(), (known.any(1) & visited).sum(), d[known].sum(), ratio


def main():
    parser = terminal.Parser(description="How much of the optimal play recordings cover, in the grid worlds.")
    shipped = [ROOT / "rollouts", ROOT / "rollouts/smollm2-135m"]
    parser.add_argument("folders", nargs="*", type=Path, default=shipped, help="of ENV.jsonl files; the project's own")
    folders = parser.parse_args().folders
    print("| environment | recordings | mean return | states | with an optimal action | share of d | max d / n |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name in (name for name in ENVIRONMENTS if find_environment(name).grid):
        env = find_environment(name).make()
        for folder in folders:
            header, episodes = read_rollouts(folder / f"{name}.jsonl", name, env)
            who, mean = terminal.printable(header.get("model")), np.mean([episode.total for episode in episodes])
            states, known, share, ratio = coverage(env, episodes)
            print(f"| {name} | {who} | {mean:,.2f} | {states} | {known} | {share:.3f} | {ratio:.1f} |")


if __name__ == "__main__":
    terminal.guard(main, "coverage.py")
