"""An agent: values(observations) -> Q(s, .), (n, actions), by which it acts; update(batch, ...), one update; `learnt`,
the array that is kept in the end. See docs/algorithm.md."""

import gymnasium as gym

from .dqn import DQN
from .tabular import QTable


def make_agent(env, low, high, reward_scale, settings, rng):
    """A QTable if `env`, a gymnasium.Env, has discrete observations, else a DQN; see there for the arguments."""
    if isinstance(env.observation_space, gym.spaces.Discrete):
        return QTable(env.observation_space.n, env.action_space.n, reward_scale, settings, rng)
    return DQN(low, high, env.action_space.n, reward_scale, settings, rng)
