"""How much of the optimal play recordings cover, in the grid worlds, by Claude and by SmolLM2 (docs/theory.md):
`python benchmarks/coverage.py`."""

import sys
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import terminal
from benchmarks import recorded
from benchmarks.best import model, optimal_values
from episodes import transitions


def optimal_play(env, preferred=False):
    """(d (S, A), optimal (S, A) bool): an optimal policy's share of steps, and which actions are optimal in a state.

    Of several it takes those that are `preferred`, (S, A) bool, if there are any, all alike."""
    P, r = model(env)
    q = optimal_values(P, r, 5000, discount=0.99)
    optimal = q > q.max(1, keepdims=True) - 1e-9
    first = optimal & preferred
    taken = np.where(first.any(1, keepdims=True), first, optimal)
    policy = taken / taken.sum(1, keepdims=True)
    visits, state = np.zeros(len(q)), np.array(env.unwrapped.initial_state_distrib)
    for _ in range(env.spec.max_episode_steps):
        visits += state
        state = np.einsum("s,sa,sat->t", state, policy, P)
    return (visits / visits.sum())[:, None] * policy, optimal


def coverage(env, episodes):
    """Of the states that an optimal policy visits: how many there are, and in how many an optimal action is in the
    `episodes`, a list of Episode. Then the share of d that is recorded; and max d / n, infinite if a pair is missing.

    d(s, a) is the share of its steps that the policy spends on action a in state s, n(s, a) of those in `episodes`."""
    states, actions, *_ = zip(*transitions(episodes))
    n = np.zeros((env.observation_space.n, env.action_space.n))
    np.add.at(n, (states, actions), 1 / len(actions))
    d, optimal = optimal_play(env, n > 0)
    visited, known, played = d.sum(1) > 0, (n > 0) & optimal, d > 0
    ratio = (d[played] / n[played]).max() if n[played].all() else np.inf
    return visited.sum(), (known.any(1) & visited).sum(), d[known].sum(), ratio


def main():
    terminal.Parser(description="How much of the optimal play recordings cover, in the grid worlds.").parse_args()
    print("| environment | recordings | mean return | states | with an optimal action | share of d | max d / n |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name, folder in product(("FrozenLake-v1", "CliffWalking-v1"), ("rollouts", "rollouts/smollm2-135m")):
        environment, header, episodes = recorded(name, folder)
        who, mean = header["model"], np.mean([episode.total for episode in episodes])
        states, known, share, ratio = coverage(environment.make(), episodes)
        print(f"| {name} | {who} | {mean:,.2f} | {states} | {known} | {share:.3f} | {ratio:.1f} |")


if __name__ == "__main__":
    terminal.guard(main, "coverage.py")
