"""What holds for both learners: how they are chosen, what they converge to, and which symmetries an update has."""

import copy
import pickle

import numpy as np
import pytest
from helpers import SETTINGS, batch, network, random_batch, rows, table, unit_rows

from agents import make_agent
from agents.dqn import DQN
from agents.tabular import QTable
from envs_text import find_environment

LEARNERS = {"table": (table, np.arange), "network": (network, unit_rows)}
both = pytest.mark.parametrize(("learner", "states_of"), LEARNERS.values(), ids=LEARNERS)
either_update = pytest.mark.parametrize("imitate", [False, True], ids=["td", "imitation"])
a_few_seeds = pytest.mark.parametrize("seed", range(5))


def q_of(agent, states):
    return agent.q[states] if isinstance(agent, QTable) else agent.online.forward(agent.scaled(states))[0]


def change(agent, *arguments):
    """By its first update: of a table, or the mean gradient of a network, whose size Adam's first step hides."""
    before = q_of(agent, np.arange(len(agent.q))).copy() if isinstance(agent, QTable) else 0
    agent.update(*arguments)
    return agent.q - before if isinstance(agent, QTable) else agent.adam.m / np.float32(0.1)


@pytest.mark.parametrize(("name", "kind"), [("FrozenLake-v1", QTable), ("CartPole-v1", DQN)])
def test_a_table_is_for_discrete_observations_and_a_network_for_vectors(name, kind):
    environment = find_environment(name)._replace(reward_scale=0.3)
    env = environment.make()
    agent = make_agent(env, environment, SETTINGS, np.random.default_rng(0))
    assert type(agent) is kind
    assert agent.n_actions == env.action_space.n and agent.reward_scale == 0.3
    assert agent.values(np.array([env.reset(seed=0)[0]] * 4)).argmax(1).shape == (4,)


def test_a_network_sees_the_usual_range_of_an_observation_as_minus_one_to_one():
    environment = find_environment("CartPole-v1")
    low, high = np.float32(environment.low), np.float32(environment.high)
    agent = make_agent(environment.make(), environment, SETTINGS, np.random.default_rng(0))
    np.testing.assert_allclose(agent.scaled(np.stack([low, high])), [[-1] * 4, [1] * 4])


@both
@either_update
@a_few_seeds
def test_the_order_of_a_batch_does_not_matter(learner, states_of, imitate, seed):
    rng = np.random.default_rng(seed)
    b = random_batch(rng, 16, 3, states_of(4))
    one, other = (change(learner(4, 3), each, imitate) for each in (b, rows(b, rng.permutation(16))))
    np.testing.assert_allclose(one, other, atol=1e-6)


@both
@either_update
@a_few_seeds
def test_a_batch_twice_is_the_batch_once(learner, states_of, imitate, seed):
    b = random_batch(np.random.default_rng(seed), 16, 3, states_of(4))
    once, twice = (change(learner(4, 3), each, imitate) for each in (b, rows(b, np.tile(np.arange(16), 2))))
    np.testing.assert_allclose(once, twice, atol=1e-6)


@both
def test_rewards_in_another_unit_change_nothing_if_their_scale_makes_up_for_it(learner, states_of):
    b = random_batch(np.random.default_rng(0), 16, 3, states_of(4))
    one, other = learner(4, 3, reward_scale=0.5), learner(4, 3, reward_scale=2.0)
    for _ in range(10):
        one.update(b)
        other.update(b._replace(rewards=b.rewards / 4))
    np.testing.assert_array_equal(q_of(one, states_of(4)), q_of(other, states_of(4)))


@both
@pytest.mark.parametrize("reward_scale", [1.0, 0.3])
def test_a_learner_bootstraps_on_what_is_not_terminal_alone(learner, states_of, reward_scale):
    agent, states = learner(2, 1, reward_scale), states_of(2)
    the_second_follows_and_ends = batch(states, [0, 0], 1.0, states[[1, 1]], terminated=[False, True])
    for _ in range(1000):
        agent.update(the_second_follows_and_ends)
    np.testing.assert_allclose(q_of(agent, states)[:, 0], reward_scale * np.array([1 + 0.99, 1]), atol=0.02)


@both
def test_a_reward_more_at_each_step_for_ever_moves_all_values_alike(learner, states_of):
    states, s, a, discount = states_of(2), [0, 0, 1, 1], [0, 1, 0, 1], 0.5
    values = []
    for more in (0.0, 0.4):
        agent = learner(2, 2, discount=discount)
        for _ in range(1000):
            agent.update(batch(states[s], a, np.array([0.0, 0.3, 0.1, 0.2]) + more, states[a], terminated=False))
        values.append(q_of(agent, states))
    np.testing.assert_allclose(values[1] - values[0], 0.4 / (1 - discount), atol=0.02)


@both
def test_an_imitating_learner_comes_to_prefer_what_was_done(learner, states_of):
    agent, states, did = learner(4, 3), states_of(4), [2, 0, 1, 2]
    for _ in range(300):  # all that was done cost 1: by its rewards, the rest looks better
        agent.update(batch(states, did, -1.0), imitate=True)
    assert agent.values(states).argmax(1).tolist() == did


@both
@a_few_seeds
def test_imitation_looks_at_no_reward_nor_at_what_came_next(learner, states_of, seed):
    rng = np.random.default_rng(seed)
    b, another = (random_batch(rng, 16, 3, states_of(4)) for _ in range(2))
    done_alike = another._replace(observations=b.observations, actions=b.actions)
    one, other = (change(learner(4, 3), each, True) for each in (b, done_alike))
    np.testing.assert_array_equal(one, other)
    assert one.any()


@both
def test_the_same_seed_makes_the_same_learner(learner, states_of):
    first, again, other = (q_of(learner(4, 3, seed=seed), states_of(4)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


@both
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda agent: pickle.loads(pickle.dumps(agent))])
def test_a_copy_learns_on_as_the_agent_does_and_leaves_it_alone(learner, states_of, copied):
    agent, states, b = learner(4, 3), states_of(4), random_batch(np.random.default_rng(0), 16, 3, states_of(4))
    other, before = copied(agent), q_of(agent, states)
    other.update(b)
    np.testing.assert_array_equal(q_of(agent, states), before)
    agent.update(b)
    np.testing.assert_array_equal(q_of(other, states), q_of(agent, states))
    assert (q_of(agent, states) != before).any()
    other.learnt[:] = 0
    assert not other.values(states).any()


@pytest.mark.parametrize("layer_norm", [True, False])
def test_a_copy_of_a_network_has_layer_norm_if_the_network_has(layer_norm):
    agent, states = network(4, 3, layer_norm=layer_norm), unit_rows(4)
    np.testing.assert_array_equal(copy.deepcopy(agent).values(states), agent.values(states))


@both
@either_update
def test_updates_are_counted(learner, states_of, imitate):
    agent, b = learner(2, 2), batch(states_of(2), [0, 1])
    learnt = agent.learnt
    for n in range(3):
        assert agent.updates == n and agent.learnt is learnt  # changed in place
        agent.update(b, imitate)
