"""The learners: a Q-table and a network behind one contract.

`act(observations) -> actions` is greedy, for n observations at once: an array whose first axis has length n, to an int
array of shape (n,). `learn(batch, conservatism) -> float` makes one update on a `Batch` and returns its TD loss.
"""

import gymnasium as gym

from .dqn import DQN
from .tabular import QTable


def make_agent(env, rng, reward_scale, low, high, action_gap, layer_norm):
    """A table if `env` (a gymnasium.Env) has discrete observations, else a network; see there for the arguments."""
    if isinstance(env.observation_space, gym.spaces.Discrete):
        return QTable(env.observation_space.n, env.action_space.n, rng, reward_scale, action_gap)
    return DQN(low, high, env.action_space.n, rng, reward_scale, action_gap, layer_norm=layer_norm)
