"""The learners. Each has values(observations): Q(s, .) (n, actions), by which it acts; update(batch, imitate, step):
learns from a Batch's rewards or imitates its actions, after `step` steps of fine-tuning; `updates`: how many it made;
`learnt`: the array of all that it acts by, changed in place, and kept; and n_actions, reward_scale, settings."""

import gymnasium as gym

from .dqn import DQN
from .tabular import QTable


def make_agent(env, environment, settings, rng):
    """A QTable if the gymnasium.Env `env` has discrete observations, else a DQN; `environment`: its Environment."""
    if isinstance(env.observation_space, gym.spaces.Discrete):
        return QTable(env.observation_space.n, env.action_space.n, environment.reward_scale, settings, rng)
    return DQN(environment.low, environment.high, env.action_space.n, environment.reward_scale, settings, rng)
