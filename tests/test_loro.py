"""Whole runs: the methods, what each update is made with, exploration, trust, and the command line."""

import inspect
import json
import math
import os
import re
import signal
import sys
from importlib.metadata import version
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import pytest
from helpers import ROOT, Doubling, documented, doubling, python, recorded, recording, reusing, world, write_lines

import agents
import episodes
import files
import llm_client
import loro
import report
import terminal
from agents.dqn import DQN
from agents.tabular import QTable
from agents.trust import Judge
from episodes import write_rollouts
from files import UserError

LAKE, CART = world("FrozenLake-v1"), world("CartPole-v1")
TOY = doubling(np.arange(0.5, 10.5))  # the LLM's episodes pay 5 on average
BEATEN = doubling([0.5] * 10)  # any play does better
OUTDONE, OUTDONE_TOY = ((w[0]._replace(random_return=9.0), w[1]) for w in (LAKE, TOY))  # an LLM worse than random play
HOPELESS = LAKE[0], [episode for episode in LAKE[1] if episode.total == 0] * 4  # that never gets to the goal
LEVEL_TOY, LEVEL_CART = BEATEN[0]._replace(random_return=0.5), CART[0]._replace(random_return=200.0)
PRETRAIN, STEPS, EVALUATIONS = 50, 60, 4  # updates; steps between two evaluations; these, after the LLM's
OWN_STEPS = STEPS * (EVALUATIONS - 1)


def short(world, name="loro-plus", seed=0, **settings):
    (environment, recorded), method, patience = world, loro.METHODS[name], iter(range(50))
    usual = {"evaluations": (10 if method.data else 0) + EVALUATIONS}
    usual |= {"pretrain_updates": PRETRAIN, "clone_updates": PRETRAIN, "early_updates": 1}
    usual |= {"steps_per_evaluation": STEPS}
    settings = loro.Settings(**usual | settings)
    return loro.run(environment, method, settings, seed, recorded, lambda text: next(patience))


def parameters(agent):
    return agent.q if isinstance(agent, QTable) else np.concatenate([agent.online.parameters, agent.acting.parameters])


# Seeds


@pytest.mark.parametrize("world", [LAKE, CART], ids=["table", "network"])
@pytest.mark.parametrize("name", ["loro-plus", "online", "own-data", "random-data"])
def test_a_run_depends_on_its_seed_and_on_no_other_run(world, name):
    (first, a), (_, b), (again, c) = (short(world, name, seed) for seed in (0, 1, 0))
    assert first == again
    np.testing.assert_array_equal(parameters(a), parameters(c))
    assert (parameters(a) != parameters(b)).any()


def test_learner_clone_data_actions_and_replay_have_random_streams_of_their_own(calls):
    def streams(made, i):
        return {given[i].bit_generator.seed_seq.spawn_key for given in made}

    learning, acting, drawing = calls(agents, "make_agent"), calls(episodes, "act"), calls(loro.ReplayBuffer, "sample")
    short(TOY, "random-data"), short(TOY, "loro-plus")
    learner, clone = streams(learning[::2], -1), streams(learning[1::2], -1)
    acts, draws = streams(acting, 2), streams(drawing, -1)
    assert [len(each) for each in (learner, clone, acts)] == [1, 1, 2]  # the first episodes act as well
    assert len(draws) == 2 and clone < draws  # by which it begins and draws
    assert len(learner | clone | acts | draws) == 5


@pytest.mark.parametrize("world", [OUTDONE, OUTDONE_TOY], ids=["lake", "toy"])
def test_without_trust_loro_plus_is_loro_number_for_number(world):
    (found, agent), (other, also) = (short(world, name) for name in ("loro", "loro-plus"))
    assert {**found, "trust": [0.0] * len(found["returns"])} == other
    np.testing.assert_array_equal(parameters(agent), parameters(also))


@pytest.mark.parametrize("world", [OUTDONE, OUTDONE_TOY, HOPELESS], ids=["lake", "toy", "hopeless"])
def test_without_trust_clone_first_is_online_after_the_episodes_number_for_number(world):
    (found, agent), (other, also) = (short(world, name) for name in ("online", "clone-first"))
    assert other["returns"][10:] == found["returns"] and set(other["trust"]) == {0.0}
    np.testing.assert_array_equal(parameters(agent), parameters(also))


@pytest.mark.parametrize("world", [HOPELESS, (LEVEL_TOY, BEATEN[1]), (LEVEL_CART, CART[1])])
def test_where_the_llms_episodes_are_all_as_bad_loro_plus_is_online_after_them_number_for_number(world):
    (found, agent), (other, also) = (short(world, name) for name in ("online", "loro-plus"))
    assert other["returns"][10:] == found["returns"] and other["trust"] == [0.0] * 14
    assert other["updates"] == found["updates"]
    np.testing.assert_array_equal(parameters(agent), parameters(also))


def test_the_actions_of_a_random_policy_and_its_world_do_not_depend_on_what_is_learnt_meanwhile(played):
    always = {"epsilon": 1.0}
    short(CART, "loro", **always)
    once = played.copy()
    played.clear()
    short(CART, "loro", **always, batch_size=7, hidden=(5,), pretrain_updates=3, discount=0.5)
    np.testing.assert_array_equal([a for _, a, *_ in once], [a for _, a, *_ in played])
    np.testing.assert_array_equal([s for s, *_ in once], [s for s, *_ in played])


@pytest.mark.parametrize(("name", "first"), [("online", 0), ("random-data", 10), ("own-data", 10)])
def test_every_environment_and_first_episode_of_a_run_is_seeded_differently(name, first):
    seeds = []
    world = doubling([1.0] * 10, seeds)
    for seed in range(3):
        short(world, name, seed, episodes_per_evaluation=4)
    assert len(set(seeds)) == len(seeds) == 3 * (1 + 4 + first)


# Methods


@pytest.mark.parametrize("name", loro.METHODS)
def test_every_method_has_as_many_evaluations(name):
    found, _ = short(LAKE, name, evaluations=13)
    assert len(found["returns"]) == 13 and all(type(x) is float for x in found["returns"])
    if name in ("loro-plus", "clone-first"):
        assert len(found["trust"]) == 13 and all(type(x) is float for x in found["trust"])
    else:
        assert found["trust"] is None


@pytest.mark.parametrize("name", ["loro", "loro-plus", "forget", "mix", "clone"])
def test_the_llms_returns_are_the_first_evaluations(name):
    assert short(LAKE, name)[0]["returns"][:10] == [episode.total for episode in LAKE[1]]


def test_methods_that_do_not_learn_earn_a_mean_return(made):
    assert short(LAKE, "llm")[0]["returns"] == pytest.approx([0.7] * 14)
    assert short(LAKE, "llm", llm_episodes=3, evaluations=2)[0]["returns"] != pytest.approx([0.7] * 2)
    random_returns = short(CART, "random")[0]["returns"]
    assert len(set(random_returns)) == 1 and 10 < random_returns[0] < 40
    assert not made


@pytest.mark.parametrize(("name", "epsilon"), [("random-data", 1.0), ("own-data", 0.05), ("random", 1.0)])
def test_who_plays_the_first_episodes(name, epsilon, calls):
    acting, learning = calls(episodes, "act"), calls(QTable, "update")
    found, agent = short(TOY, name, pretrain_updates=0, clone_updates=0, evaluations=11)
    assert [given[1] for given in acting] == [epsilon] * 10 * 3 and not learning and agent.updates == 0
    assert not set(found["returns"][:10]) & {episode.total for episode in TOY[1]}


@pytest.mark.parametrize("name", ["loro", "clone"])
def test_fewer_episodes_than_there_are_are_drawn_by_the_seed(name, calls):
    drawing = calls(episodes, "transitions")
    for seed in range(30):
        short(TOY, name, seed, llm_episodes=3, evaluations=4, pretrain_updates=1, steps_per_evaluation=1)
    drawn = [[episode.total for episode in data] for (data,) in drawing]
    assert {len(each) for each in drawn} == {3} and len(set(map(tuple, drawn))) > 20
    assert all(each == sorted(each) for each in drawn)  # in their order
    assert {total for each in drawn for total in each} == {episode.total for episode in TOY[1]}


@pytest.mark.parametrize("seed", range(5))
def test_the_llms_mean_is_that_of_the_episodes_that_other_methods_of_its_seed_draw(seed):
    few = {"llm_episodes": 3, "evaluations": 4, "pretrain_updates": 1, "steps_per_evaluation": 1}
    loro, llm = (short(TOY, name, seed, **few)[0]["returns"] for name in ("loro", "llm"))
    assert llm == [pytest.approx(np.mean(loro[:3]))] * 4


def test_all_episodes_that_there_are_stay_in_order(calls):
    drawing = calls(episodes, "transitions")
    short(TOY, "loro")
    assert drawing == [(TOY[1],)]


def test_the_methods_are_as_documented():
    whose = {"llm": "the LLM's", "random": "a random policy's", "own": "its own", None: ""}
    expected = {
        name: [whose[m.data], "yes" * m.pretrain, "yes" * m.clone, "yes" * m.keep, "yes" * m.fine_tune]
        for name, m in loro.METHODS.items()
    }
    rows = documented("| method | first episodes |")
    assert {name.strip("`"): cells for name, *cells in rows} == expected


def test_what_a_result_was_made_with_has_one_meaning_a_name():
    of_environment = loro.find_environment("CartPole-v1").numbers()
    names = [*loro.Settings._fields, *loro.Method._fields, *of_environment, "code", "episodes"]
    assert len(names) == len(set(names))


def test_the_settings_are_as_documented():
    comments = re.findall(r"^    (\w+): .*?  # (.*)$", inspect.getsource(loro.Settings), re.MULTILINE)
    defaults = {name: loro.Settings._field_defaults.get(name) for name in loro.Settings._fields}
    assert [name for name, _ in comments] == list(loro.Settings._fields)
    assert documented("| setting |") == [[f"`{name}`", cell(defaults[name]), comment] for name, comment in comments]


def cell(default):
    """How a default is shown there."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple):
        return " ".join(map(str, default))
    return "" if default is None else f"{default:,}"


# Updates


class Update(NamedTuple):
    held: float  # the LLM's share of the buffer it was drawn from
    size: int
    imitate: bool
    step: int


@pytest.fixture
def made(monkeypatch):
    """What each update of a run was made with."""
    made, sampled, sample = [], [], loro.ReplayBuffer.sample

    def watched_sample(self, size, rng):
        sampled[:] = self.n_first / len(self), size
        return sample(self, size, rng)

    def watched_update(update):
        def update_and_tell(self, batch, imitate=False, step=0):
            made.append(Update(*sampled, imitate, step))
            update(self, batch, imitate, step)

        return update_and_tell

    monkeypatch.setattr(loro.ReplayBuffer, "sample", watched_sample)
    for learner in (QTable, DQN):
        monkeypatch.setattr(learner, "update", watched_update(learner.update))
    return made


@pytest.fixture
def played(monkeypatch):
    """The learner's own transitions, as they were stored."""
    played, add = [], loro.ReplayBuffer.add

    def watched_add(self, *transition):
        played.append(tuple(np.copy(x) for x in transition))
        add(self, *transition)

    monkeypatch.setattr(loro.ReplayBuffer, "add", watched_add)
    return played


@pytest.mark.parametrize("name", loro.METHODS)
def test_a_learner_is_pretrained_by_rewards_and_a_clone_by_imitation_on_the_first_episodes_alone(name, made):
    method, learning, imitating = loro.METHODS[name], Update(1.0, 64, False, 0), Update(1.0, 64, True, 0)
    found, _ = short(TOY, name, pretrain_updates=7, clone_updates=5)
    pretraining = [learning] * 7 * method.pretrain + [imitating] * 5 * method.clone
    assert made[: len(pretraining)] == pretraining
    assert len(made) == len(pretraining) + OWN_STEPS * method.fine_tune == found["updates"]


@pytest.mark.parametrize("name", [name for name, method in loro.METHODS.items() if method.fine_tune])
def test_fine_tuning_draws_evenly_from_all_that_is_kept(name, made):
    short(LAKE, name)
    fine_tuning = made[-OWN_STEPS:]
    assert {(u.imitate, u.size) for u in fine_tuning} == {(False, 64)}
    assert [u.step for u in fine_tuning] == list(range(OWN_STEPS))
    held = [u.held for u in fine_tuning]
    assert (held[0] > held[-1] > 0) if loro.METHODS[name].keep else set(held) == {0}


def test_episodes_that_are_all_as_good_are_kept(made):
    short(CART, "loro-plus")
    assert made[-1].held > 0


@pytest.mark.parametrize("name", ["online", "loro-plus"])
def test_a_learner_updates_more_often_early_on(name, made):
    short(TOY, name, early_updates=3, early_steps=100)
    own = [u.step for u in made if u.held < 1]
    assert own == [step for step in range(OWN_STEPS) for _ in range(3 if step < 100 else 1)]


def test_a_clone_that_is_alone_plays_whether_or_not_it_is_trusted(calls):
    evaluating = calls(episodes, "evaluate")
    for each in LAKE, OUTDONE:
        evaluating.clear()
        found, agent = short(each, "clone")
        assert [player for player, _ in evaluating] == [agent] * EVALUATIONS
        assert agent.updates == found["updates"] == PRETRAIN and found["clone"]


@pytest.mark.parametrize("world", [LAKE, OUTDONE, TOY])  # trusted or not: there is no clone to trust
def test_a_learner_that_is_only_pretrained_plays_all_evaluations(world, calls, monkeypatch):
    monkeypatch.setitem(loro.METHODS, "offline", loro.Method("llm", pretrain=True, fine_tune=False))
    evaluating = calls(episodes, "evaluate")
    found, agent = short(world, "offline")
    assert [player for player, _ in evaluating] == [agent] * EVALUATIONS
    assert agent.updates == found["updates"] == PRETRAIN and not found["clone"]
    assert found["trust"] is None and found["returns"][:11] == short(world, "loro")[0]["returns"][:11]


def test_what_an_environment_says_of_itself_reaches_the_learner():
    environment, recorded = CART
    other = environment._replace(reward_scale=0.7, low=(-1, -1, -1, -1), high=(1, 2, 3, 4))
    agent = short((other, recorded), pretrain_updates=1, evaluations=11)[1]
    assert agent.reward_scale == 0.7
    np.testing.assert_allclose(agent.scaled(np.array([other.low, other.high])), [[-1] * 4, [1] * 4])


OTHERWISE = {
    "evaluations": (LAKE, "loro", 13),
    "llm_episodes": (LAKE, "loro", 9),
    "pretrain_updates": (LAKE, "loro", 49),
    "clone_updates": (LAKE, "clone", 49),
    "clone_every": (TOY, "loro-plus", 2),
    "prior_episodes": (TOY, "loro-plus", 500),
    "steps_per_evaluation": (LAKE, "loro", 59),
    "episodes_per_evaluation": (LAKE, "loro", 4),
    "early_updates": (LAKE, "loro", 3),
    "early_steps": (LAKE, "loro", 30),
    "batch_size": (LAKE, "loro", 63),
    "buffer_size": (LAKE, "loro", 20),
    "discount": (LAKE, "loro", 0.9),
    "advantage_learning": (LAKE, "loro", 0.0),
    "epsilon": (LAKE, "own-data", 0.5),
    "epsilon_steps": (LAKE, "loro", 50),
    "table_learning_rate": (LAKE, "loro", 0.06),
    "hidden": (CART, "loro", (8,)),
    "layer_norm": (CART, "loro", False),
    "learning_rate": (CART, "loro", 0.01),
    "decay_steps": (CART, "loro", 10),
    "target_rate": (CART, "loro", 0.5),
    "acting_rate": (CART, "loro", 0.5),
}


@pytest.mark.parametrize("field", loro.Settings._fields)
def test_every_setting_makes_a_difference(field):
    world, name, value = OTHERWISE[field]
    usual = {"evaluations": 12, "early_updates": 2}
    (found, agent), (other, changed) = (short(world, name, **usual | s) for s in ({}, {field: value}))
    different = parameters(agent).shape != parameters(changed).shape or (parameters(agent) != parameters(changed)).any()
    assert different or found["returns"] != other["returns"]


# Trust


@pytest.fixture
def own_episodes(monkeypatch):
    """Of each episode of a run's own in a Doubling world, of three steps: (who played, the epsilons, its return)."""
    acts, adds, act, add = [], [], episodes.act, loro.ReplayBuffer.add

    def watched_act(agent, epsilon, rng, observation):
        acts.append((agent, epsilon))
        return act(agent, epsilon, rng, observation)

    def watched_add(self, observation, action, reward, *rest):
        adds.append(reward)
        add(self, observation, action, reward, *rest)

    monkeypatch.setattr(episodes, "act", watched_act)
    monkeypatch.setattr(loro.ReplayBuffer, "add", watched_add)

    def played():
        each = [slice(start, start + 3) for start in range(0, len(adds) - 2, 3)]
        return [(acts[three][0][0], [epsilon for _, epsilon in acts[three]], sum(adds[three])) for three in each]

    return played


@pytest.mark.parametrize("every", [1, 2, 10])
def test_a_trusted_clone_plays_some_episodes_greedily_and_the_learner_explores_in_the_others(own_episodes, every):
    found, _ = short(TOY, "loro-plus", clone_every=every, prior_episodes=500, epsilon_steps=100)
    players, epsilons, _ = zip(*own_episodes())
    clone, falling = players[0], [max(0.05, 1 - step / 100) for step in range(OWN_STEPS)]
    its = [n % every == 0 for n in range(len(players))]
    assert set(found["trust"]) == {1.0}
    assert [player is clone for player in players] == its
    assert list(epsilons) == [[0.0] * 3 if of_clone else falling[3 * n : 3 * n + 3] for n, of_clone in enumerate(its)]


@pytest.mark.parametrize(("world", "name"), [(OUTDONE_TOY, "loro-plus"), (TOY, "loro"), (TOY, "online"), (TOY, "mix")])
def test_where_none_is_trusted_the_learner_explores_alone(world, name, own_episodes):
    short(world, name, epsilon_steps=100)
    players, epsilons, _ = zip(*own_episodes())
    assert len(set(map(id, players))) == 1
    assert np.ravel(epsilons) == pytest.approx([max(0.05, 1 - step / 100) for step in range(3 * len(players))])


@pytest.mark.parametrize("prior", [500, 5])
@pytest.mark.parametrize("back", [False, True])
def test_who_is_trusted_plays_the_evaluations_and_is_kept_in_the_end(prior, back, own_episodes, calls, monkeypatch):
    if back:  # Trust falls and rises again and again.
        monkeypatch.setattr(Judge, "trust", property(lambda self: float(len(self.learner_returns) % 40 < 25)))
    evaluating, judging = calls(episodes, "evaluate"), calls(loro, "Judge")
    found, agent = short(BEATEN, "loro-plus", evaluations=18, clone_every=2, prior_episodes=prior)
    (given,), played = judging, own_episodes()
    clone, expected, judge = played[0][0], [], Judge(*given)
    for n, (player, _, own_return) in enumerate(played):
        if n % (STEPS // 3) == 0:
            expected.append(judge.trust)
        assert (player is clone) == (n % 2 == 0 and judge.trust == 1)
        (judge.clone_returns if player is clone else judge.learner_returns).append(own_return)
    expected.append(judge.trust)
    assert found["trust"] == [expected[0]] * 10 + expected
    assert [player is clone for player, _ in evaluating] == [trust == 1 for trust in expected]
    assert agent is evaluating[-1][0] and found["clone"] == (expected[-1] == 1)
    assert (set(expected) == {0.0, 1.0}) == (back or prior == 5)


def test_with_trust_to_the_end_the_evaluations_of_loro_plus_are_its_clones_number_for_number():
    (found, agent), (other, also) = (short(TOY, name, prior_episodes=500) for name in ("loro-plus", "clone"))
    assert set(found["trust"]) == {1.0} and found["returns"] == other["returns"]
    np.testing.assert_array_equal(parameters(agent), parameters(also))


@pytest.mark.parametrize("tenth", [np.float32(0.1), 0.1])
def test_a_return_in_training_is_rounded_as_that_of_an_episode(tenth, monkeypatch):
    judges = []
    monkeypatch.setattr(loro, "Judge", lambda *given: judges.append(Judge(*given)) or judges[-1])
    paying = CART[0]._replace(make=lambda: gym.wrappers.TransformReward(CART[0].make(), lambda reward: tenth))
    short((paying, CART[1]), "online")
    own = judges[0].learner_returns[5:]
    assert own and own == [np.full(round(each / tenth), float(tenth)).sum() for each in own]


def test_a_teacher_is_judged_by_full_returns_beside_a_random_policys(calls):
    made, whole = calls(loro, "Judge"), CART[1][0]
    cut = whole._replace(observations=whole.observations[:51], actions=whole.actions[:50], rewards=whole.rewards[:50])
    fallen = cut._replace(terminated=True, truncated=False)
    found, _ = short((CART[0], [cut, fallen] * 5), "loro-plus", evaluations=11, prior_episodes=7)
    assert made == [([200.0, 50.0] * 5, CART[0].random_return, CART[0].random_std, 7)]
    assert found["returns"][:10] == [50.0] * 10


# Play


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_a_share_of_epsilon_of_the_actions_is_random(epsilon):
    agent, rng = QTable(2, 4, 1.0, loro.Settings(1), np.random.default_rng(0)), np.random.default_rng(1)
    agent.q[1, 2] = 1.0
    actions = [episodes.act(agent, epsilon, rng, 1) for _ in range(2000)]
    assert {type(action) for action in actions} == {int}
    shares = np.bincount(actions, minlength=4) / 2000
    np.testing.assert_allclose(shares, epsilon / 4 + (1 - epsilon) * (np.arange(4) == 2), atol=0.04)


def test_the_learners_own_steps_are_stored_as_they_were_and_a_time_limit_ends_no_process(played, monkeypatch):
    def balances_for_250_steps_in_300(agent, epsilon, rng, observation):
        return int(observation[2:].sum() > 0) if len(played) % 300 < 250 else 0

    monkeypatch.setattr(episodes, "act", balances_for_250_steps_in_300)
    short(CART, evaluations=22)
    s, actions, rewards, s2, terminated = map(np.array, zip(*played))
    fallen = (abs(s2[:, 0]) > 2.4) | (abs(s2[:, 2]) > math.radians(12))
    np.testing.assert_array_equal(terminated, fallen)
    begins = np.flatnonzero((s[1:] != s2[:-1]).any(1)) + 1
    lengths = np.diff([0, *begins])
    assert fallen.any() and lengths.max() == 200 and (abs(s[begins]) <= 0.05).all()
    assert set(np.flatnonzero(fallen) + 1) - {len(s)} <= set(begins)
    np.testing.assert_allclose(s2[:, 0], s[:, 0] + 0.02 * s[:, 1], atol=1e-5)  # Euler's step of the cart
    assert (rewards == 1).all() and set(actions) == {0, 1}


def test_an_episode_that_terminates_at_the_very_step_of_the_time_limit_has_terminated(played):
    both = TOY[0]._replace(make=lambda: gym.wrappers.TimeLimit(Doubling(3), 3))
    short((both, []), "online")
    assert [bool(terminated) for *_, terminated in played[:6]] == [False, False, True] * 2


@pytest.mark.parametrize("world", [LAKE, CART], ids=["table", "network"])
def test_an_environment_may_write_all_its_observations_into_one_array(world):
    (first, a), (again, b) = (short(each, "own-data") for each in (world, (reusing(world[0]), [])))
    assert first == again
    np.testing.assert_array_equal(parameters(a), parameters(b))


def test_progress_is_told_before_each_evaluation():
    told = []
    environment, recorded = TOY
    settings = loro.Settings(13, pretrain_updates=1, steps_per_evaluation=1)
    loro.run(environment, loro.METHODS["loro"], settings, 0, recorded, told.append)
    assert told == [f"evaluation {number} of 13" for number in (10, 11, 12)]


# Refusals


@pytest.mark.parametrize("name", ["loro", "loro-plus", "forget", "mix", "clone", "llm"])
@pytest.mark.parametrize("there", [0, 9])
def test_a_run_refuses_fewer_episodes_than_it_needs(name, there):
    with pytest.raises(UserError, match=f"the LLM's episodes {there} are recorded, not 10"):
        short((TOY[0], TOY[1][:there]), name)


@pytest.mark.parametrize("name", [name for name, m in loro.METHODS.items() if m.data and (m.clone or m.fine_tune)])
@pytest.mark.parametrize("evaluations", [1, 10])
def test_a_run_refuses_a_budget_that_leaves_no_evaluation_of_its_own(name, evaluations):
    with pytest.raises(UserError, match=f"--evaluations {evaluations} leaves none"):
        short(TOY, name, evaluations=evaluations)


def test_a_learner_that_is_only_pretrained_needs_evaluations_of_its_own_too(monkeypatch):
    monkeypatch.setitem(loro.METHODS, "offline", loro.Method("llm", pretrain=True, fine_tune=False))
    with pytest.raises(UserError, match="--evaluations 10 leaves none"):
        short(TOY, "offline", evaluations=10)


@pytest.mark.parametrize("name", ["online", "llm", "random"])
def test_methods_without_first_episodes_of_their_own_take_any_budget(name):
    assert len(short(TOY, name, evaluations=1)[0]["returns"]) == 1
    with pytest.raises(UserError, match="--evaluations 0 leaves none"):
        short(TOY, name, evaluations=0)


@pytest.mark.parametrize("row", [{"pretrain": True}, {"clone": True}, {"fine_tune": False}])
def test_a_method_of_ones_own_has_episodes_if_it_is_to_learn_from_them(monkeypatch, row):
    monkeypatch.setitem(loro.METHODS, "new", loro.Method(None, **row))
    with pytest.raises(UserError, match="has no first episodes"):
        short(TOY, "new")


def test_a_method_of_ones_own_cannot_misspell_whose_episodes_it_wants(monkeypatch):
    monkeypatch.setitem(loro.METHODS, "new", loro.Method("LLM", pretrain=True, keep=True))
    with pytest.raises(KeyError, match="LLM"):
        short(TOY, "new")


@pytest.mark.parametrize("every", [3, 7])  # neither divides the 20 episodes between two evaluations
def test_who_is_trusted_plays_the_evaluations_whoever_plays_just_then(every):
    found, agent = short(TOY, "loro-plus", clone_every=every, prior_episodes=500)
    other, also = short(TOY, "clone", prior_episodes=500)
    assert set(found["trust"]) == {1.0} and found["clone"] and found["returns"] == other["returns"]
    np.testing.assert_array_equal(parameters(agent), parameters(also))


# Command line

QUICK = ["--env", "FrozenLake-v1", "--evaluations", 12, "--steps-per-evaluation", 20]
QUICK += ["--pretrain-updates", 20, "--clone-updates", 20]


def kept(folder):
    return {path.stem: json.loads(path.read_bytes()) for path in (folder / "FrozenLake-v1").glob("*.json")}


def test_the_command_line_shows_a_table_and_keeps_the_results(tmp_path, command):
    methods = "loro-plus", "online", "random"
    out, err = command(*QUICK, "--method", *methods, "--seed", 3, "--seeds", 2, "--out", tmp_path)
    assert "10 episodes by Claude, mean return 0.70" in out and f"kept in {tmp_path / 'FrozenLake-v1'}" in out
    assert "regret" in out and "→" in out and "loro-plus trusted its clone: 1.00 at first" in out
    warning, *done = err.splitlines()
    assert "warning: an episode of 100 steps" in warning  # these evaluations are twenty steps apart
    runs = enumerate(((name, seed) for name in methods for seed in (3, 4)), 1)
    assert done == [f"{i} of 6: FrozenLake-v1 {name} seed {seed} is done" for i, (name, seed) in runs]
    assert set(kept(tmp_path)) == {f"{name}-{seed}" for name in methods for seed in (3, 4)}


@pytest.mark.parametrize("name", ["loro-plus", "online", "random-data"])
def test_a_result_holds_all_that_it_was_made_with(name, tmp_path, command):
    command(*QUICK, "--method", name, "--seed", 5, "--discount", 0.9, "--out", tmp_path)
    (found,) = kept(tmp_path).values()
    settings = loro.Settings(12, pretrain_updates=20, clone_updates=20, steps_per_evaluation=20, discount=0.9)
    expected, _ = loro.run(LAKE[0], loro.METHODS[name], settings, 5, LAKE[1])
    assert found["returns"] == expected["returns"] and found["trust"] == expected["trust"]
    assert found["cumulative_reward"] == sum(found["returns"])
    assert (found["env"], found["method"], found["seed"]) == ("FrozenLake-v1", name, 5)
    assert (found["model"], found["llm_episodes"]) == (("Claude", 10) if name == "loro-plus" else (None, 0))
    assert found["best_return"] == LAKE[0].best_return and found["seconds"] >= 0
    assert found["updates"] == expected["updates"]
    assert found["versions"] == {package: version(package) for package in ("numpy", "gymnasium")}
    made_of = {"random_return": LAKE[0].random_return, "random_std": LAKE[0].random_std, "low": None, "high": None}
    made_of |= {"reward_scale": LAKE[0].reward_scale}
    made_of |= settings._asdict() | loro.METHODS[name]._asdict()
    config = found["config"]
    assert made_of.items() <= (config | {"hidden": tuple(config["hidden"])}).items()
    assert re.fullmatch("[0-9a-f]{8}", config["code"]) and bool(config.get("episodes")) == (name == "loro-plus")


def test_the_same_command_gives_the_same_results(tmp_path, command):
    for out in "ab":
        command(*QUICK, "--method", "loro-plus", "--out", tmp_path / out)
    first, second = (kept(tmp_path / out)["loro-plus-0"] for out in "ab")
    assert first.pop("seconds") >= 0 and second.pop("seconds") >= 0
    assert first == second


def test_seeds_are_different_runs(tmp_path, command):
    longer = "--steps-per-evaluation", 100, "--early-updates", 1
    command(*QUICK, *longer, "--method", "online", "--seed", 7, "--seeds", 3, "--out", tmp_path)
    results = kept(tmp_path)
    assert [results[f"online-{seed}"]["seed"] for seed in (7, 8, 9)] == [7, 8, 9]
    assert len({str(result["returns"]) for result in results.values()}) == 3
    settings = loro.Settings(12, pretrain_updates=20, clone_updates=20, steps_per_evaluation=100, early_updates=1)
    assert results["online-9"]["returns"] == loro.run(LAKE[0], loro.METHODS["online"], settings, 9)[0]["returns"]


def test_a_run_may_train_on_some_of_the_episodes(tmp_path, command, calls):
    drawing = calls(episodes, "transitions")
    command(*QUICK, "--method", "loro", "--llm-episodes", 3, "--out", tmp_path)
    result = kept(tmp_path)["loro-0"]
    assert len(drawing[0][0]) == result["llm_episodes"] == result["config"]["llm_episodes"] == 3


ONE = [*QUICK, "--method", "loro"]


def test_a_run_that_is_asked_for_again_is_made_anew(tmp_path, command):
    command(*ONE, "--out", tmp_path)
    before = kept(tmp_path)["loro-0"]
    command(*ONE, "--evaluations", 13, "--discount", 0.5, "--out", tmp_path)
    after = kept(tmp_path)["loro-0"]
    assert (before["config"]["discount"], after["config"]["discount"]) == (0.99, 0.5)
    assert (len(before["returns"]), len(after["returns"])) == (12, 13)
    (tmp_path / "FrozenLake-v1" / "loro-0.json").write_text("damaged")
    command(*ONE, "--out", tmp_path)
    assert kept(tmp_path)["loro-0"]["returns"] == before["returns"]


@pytest.mark.parametrize(("steps", "warned"), [(99, "give --steps-per-evaluation 100"), (100, "")])
def test_who_gets_more_steps_than_online_by_an_episode_of_the_llms_is_told(steps, warned, tmp_path, command):
    said = command(*ONE, "--steps-per-evaluation", steps, "--out", tmp_path).err
    assert ("warning" in said) == bool(warned) and warned in said


@pytest.mark.parametrize(("steps", "ends", "n"), [(50, "truncated", 1), (50, "terminated", 0), (200, "truncated", 0)])
def test_episodes_that_were_cut_off_before_the_limit_are_told_of(steps, ends, n, tmp_path, command):
    whole = CART[1][0]._replace(terminated=ends == "terminated", truncated=ends == "truncated", replies=None)
    cut = whole._replace(observations=whole.observations[: steps + 1])
    cut = cut._replace(actions=whole.actions[:steps], rewards=whole.rewards[:steps])
    episodes.write_rollouts(path := tmp_path / "cut.jsonl", {"env": "CartPole-v1"}, [CART[1][1], cut, cut])
    err = command("--env", "CartPole-v1", "--method", "llm", "--llm-episodes", 3, "--rollouts", path).err
    said = "warning: 2 episodes were cut off before step 200, the limit; they count with what they earned\n"
    assert err == said * n


def test_resume_skips_what_is_there(tmp_path, command, calls, monkeypatch):
    command(*ONE, "--seeds", 2, "--out", tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    monkeypatch.setattr(files, "code_checksum", lambda *parts: kept(tmp_path)["loro-0"]["config"]["code"])
    running = calls(loro, "run")
    assert "regret" in command(*ONE, "--seeds", 2, "--resume", "--out", tmp_path).out
    told = command(*ONE, "--seeds", 3, "--resume", "--out", tmp_path).err.splitlines()[-3:]
    assert [line.rpartition(" seed ")[2] for line in told] == ["0 was there", "1 was there", "2 is done"]
    assert [given[3] for given in running] == [2]
    assert len(before) == 2 and all(path.read_bytes() == whole for path, whole in before.items())
    assert (tmp_path / "FrozenLake-v1" / "loro-2.json").exists()


@pytest.mark.parametrize(
    ("options", "unlike"),
    [
        (["--discount", 0.9], "discount 0.99, not 0.9"),
        (["--hidden", 64, 32], r"hidden \[64, 64\], not \[64, 32\]"),
        (["--evaluations", 13], "evaluations 12, not 13"),
        (["--llm-episodes", 3], "llm_episodes 10, not 3"),
        (["--no-layer-norm", "--epsilon", 1], "epsilon 0.05, not 1.0; layer_norm True, not False"),
    ],
)
def test_resume_refuses_what_was_made_otherwise(options, unlike, tmp_path, command):
    command(*ONE, "--out", tmp_path)
    path = tmp_path / "FrozenLake-v1" / "loro-0.json"
    before = path.read_bytes()
    with pytest.raises(UserError, match=rf"{path}.* made with {unlike}; give another --out"):
        command(*ONE, *options, "--resume", "--out", tmp_path)
    assert path.read_bytes() == before


def test_resume_refuses_other_episodes_before_any_run(tmp_path, command, calls):
    header, *lines = recording("FrozenLake-v1").read_text().splitlines()
    (tmp_path / "other.jsonl").write_text("\n".join([header, *reversed(lines)]))
    command(*ONE, "--out", tmp_path)
    running, other = calls(files, "kept_or_made"), ["--rollouts", tmp_path / "other.jsonl"]
    with pytest.raises(UserError, match=r"made with episodes \w{8}, not \w{8}; give"):
        command(*ONE, "--method", "online", "loro", "--resume", "--out", tmp_path, *other)
    assert not running  # not even `online`, whose turn is first


def test_resume_refuses_another_recording_though_its_first_episodes_are_the_same(tmp_path, command):
    (header, ten), path = recorded("FrozenLake-v1"), tmp_path / "twelve.jsonl"
    run = [*ONE, "--out", tmp_path, "--rollouts", path, "--resume"]
    write_rollouts(path, header, [*ten, *ten[:2]])
    command(*run)
    write_rollouts(path, header, [*ten, ten[0], ten[2]])  # each run draws from all of them
    with pytest.raises(UserError, match=r"made with episodes \w{8}, not \w{8}; give"):
        command(*run)


def test_resume_refuses_another_row_of_the_table(tmp_path, command, monkeypatch):
    command(*ONE, "--out", tmp_path)
    monkeypatch.setitem(loro.METHODS, "loro", loro.METHODS["loro"]._replace(keep=False))
    with pytest.raises(UserError, match="made with keep True, not False; give"):
        command(*ONE, "--resume", "--out", tmp_path)


def test_resume_refuses_other_code(tmp_path, command, monkeypatch):
    command(*ONE, "--out", tmp_path)
    monkeypatch.setattr(files, "code_checksum", lambda *parts: "00000000")
    with pytest.raises(UserError, match=r"made with code \w{8}, not 00000000; give"):
        command(*ONE, "--resume", "--out", tmp_path)


def test_the_code_that_counts_is_that_of_runs_episodes_and_learners(tmp_path, command, calls):
    counting = calls(files, "code_checksum")
    command(*ONE, "--out", tmp_path)
    names = {part.__name__ for part in counting[0]}
    learners = {f"agents.{path.stem}" for path in (ROOT / "agents").glob("[!_]*.py")}
    played = {"Episode", "play", "act", "evaluate", "transitions"}
    assert names == {"run", "frozen_lake", "agents"} | played and learners <= sys.modules.keys()


# Options


def parse(*arguments):
    """What the command line says: options, and as dicts those that are settings and how to ask a server."""
    given = ["--env", "FrozenLake-v1", *map(str, arguments)]
    return terminal.parse(loro.METHODS, loro.Settings, llm_client.Asking, given)


def option(field):
    return "--" + field.replace("_", "-")


@pytest.mark.parametrize("field", loro.Settings._fields)
def test_every_setting_is_an_option_by_its_own_name(field):
    default = loro.Settings._field_defaults.get(field)
    if isinstance(default, bool):
        assert parse(option(field))[1] == {field: True}
        assert parse("--no-" + option(field)[2:])[1] == {field: False}
    elif isinstance(default, tuple):
        assert parse(option(field), 7, 8, 9)[1] == {field: [7, 8, 9]}
    elif isinstance(default, float):
        assert parse(option(field), "0.25")[1] == {field: 0.25}
    else:
        value = parse(option(field), "7")[1][field]
        assert value == 7 and type(value) is int


@pytest.mark.parametrize("field", [f for f, kind in loro.Settings.__annotations__.items() if kind is not bool])
@pytest.mark.parametrize("value", ["-1", "nan", "many", "1e9"])
def test_a_setting_that_makes_no_sense_is_refused(field, value):
    with pytest.raises(UserError, match=f"{option(field)}: .*is not a (whole )?number from .*see --help"):
        parse(f"{option(field)}={value}")


@pytest.mark.parametrize(
    "field", ["evaluations", "batch_size", "buffer_size", "hidden", "decay_steps", "clone_every", "prior_episodes"]
)
def test_what_is_counted_begins_with_one(field):
    with pytest.raises(UserError, match="not a whole number from 1 to"):
        parse(option(field), 0)


FRACTIONS = [f for f, default in loro.Settings._field_defaults.items() if type(default) is float]


@pytest.mark.parametrize("field", FRACTIONS)
def test_what_is_a_part_of_a_whole_is_at_most_one(field):
    assert parse(option(field), 1)[1] == {field: 1}
    with pytest.raises(UserError, match="not a number from 0 to 1; "):
        parse(option(field), 1.01)


@pytest.mark.parametrize("field", ["pretrain_updates", "clone_updates", "early_updates", "epsilon"])
def test_there_may_be_none_of_it(field):
    assert parse(option(field), 0)[1] == {field: 0}


def test_without_options_the_settings_are_the_defaults():
    options, settings, asking = parse()
    assert settings == asking == {} and options.method == ["loro-plus", "loro", "online"]
    assert (options.seed, options.seeds, str(options.out), options.resume) == (0, 1, "results", False)


def test_an_option_reaches_the_learner_as_it_would_by_default(tmp_path, command):
    for out, options in (("a", []), ("b", ["--hidden", 64, 64, "--discount", 0.99, "--layer-norm"])):
        command(*ONE, *options, "--out", tmp_path / out)
    first, second = (kept(tmp_path / out)["loro-0"] for out in "ab")
    assert first["config"] == second["config"] and first["returns"] == second["returns"]


def test_a_method_of_ones_own_needs_no_help():
    methods, given = {**loro.METHODS, "mine": loro.METHODS["loro"]}, ["--env", "FrozenLake-v1", "--method", "mine"]
    assert terminal.parse(methods, loro.Settings, llm_client.Asking, given)[0].method == ["mine"]


def test_help_explains_each_method_and_setting_once(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    with pytest.raises(SystemExit) as ended:
        parse("--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    said, source = " ".join(text.split()), inspect.getsource(loro)
    for name in loro.METHODS:
        (comment,) = re.findall(rf'^    "{name}": Method.*  # (.*)$', source, re.MULTILINE)
        assert len(re.findall(rf"^  {name} +{re.escape(comment)}$", text, re.MULTILINE)) == 1
    for field in loro.Settings._fields:
        (comment,) = re.findall(rf"^    {field}: .*  # (.*)$", source, re.MULTILINE)
        form = r"( [NX]| N \[N \.\.\.\]|, --no-[a-z-]+)"
        assert len(re.findall(rf"{option(field)}{form} {re.escape(comment)}", said)) == 1, field
    assert "hidden layers (64 64)" in said and "later it is one (8)" in said


# What is refused

HEADER = {"format": "loro-rollouts-1", "env": "FrozenLake-v1"}
EPISODE = {"observations": [0, 4], "actions": [4], "rewards": [0.0], "terminated": False, "truncated": True}


def test_a_temperature_may_be_above_one():
    assert parse("--model", "m", "--temperature", 1.5)[2] == {"model": "m", "temperature": 1.5}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--env", "Nonsense-v0"], "'Nonsense-v0' is not an environment"),
        (["--env", "FrozenLake-v1\nx"], "is not an environment"),
        ([], "--env"),
        (["--env", ":FrozenLake-v1"], "'' is no module"),
        (["--env", "FrozenLake-v1", "--extra", "{a}"], "argument --extra: not JSON in UTF-8"),
        (["--env", "FrozenLake-v1", "--votes", 5], "there is no server to ask"),
        (["--env", "FrozenLake-v1", "--base-url", "", "--model", ""], "argument --base-url: it is empty"),
        (["--env", "FrozenLake-v1", "--api-key-env", " "], "argument --api-key-env: it is empty"),
        (["--env", "FrozenLake-v1", "--reasoning"], "there is no server to ask"),
        (["--env", "FrozenLake-v1", "--method", "online", "--model", "m"], "online asks no server"),
        (["--env", "FrozenLake-v1", "--method", "magic"], "invalid choice: 'magic'"),
        (["--env", "FrozenLake-v1", "--magic"], "unrecognized arguments: --magic"),
        (["--env", "FrozenLake-v1", "--method", "online", "loro", "--evaluations", 10], "leaves none after"),
        (["--env", "FrozenLake-v1", "--seeds", 0], "not a whole number from 1 to"),
        (["--env", "FrozenLake-v1", "--seed", -1], "not a whole number"),
        (["--env", "FrozenLake-v1", "--llm-episodes", 11], "holds 10 episodes; give --llm-episodes 10"),
        (["--env", "FrozenLake-v1", "--llm-episodes", -3], "not a whole number"),
        (["--env", "FrozenLake-v1", "--rollouts", "missing.jsonl"], "missing.jsonl"),
        (["--env", "FrozenLake-v1", "--rollouts", "."], "there is no file .; give --rollouts another, --base-url and"),
        (["--env", "FrozenLake-v1", "--rollouts", "/dev/zero"], "/dev/zero"),
        (["--env", "FrozenLake-v1", "--rollouts", recording("CartPole-v1")], "of CartPole-v1, not"),
        (["--env", "FrozenLake-v1", "--rollouts", "action.jsonl"], "action.jsonl line 2: actions"),
        (["--env", "FrozenLake-v1", "--out", ""], "argument --out: it is empty; is a variable not set"),
        (["--env", "FrozenLake-v1", "--out", "file"], "file"),
        (["--env", "FrozenLake-v1", "--out", "/proc/nowhere"], "/proc/nowhere"),
    ],
)
def test_bad_input_is_refused_in_a_line_before_anything_is_written(tmp_path, monkeypatch, command, arguments, problem):
    write_lines(tmp_path / "action.jsonl", HEADER, EPISODE)
    (tmp_path / "file").write_text("kept")
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UserError, OSError)) as refused:
        command(*arguments)
    assert problem in str(refused.value) and len(terminal.printable(refused.value).splitlines()) == 1
    assert (tmp_path / "file").read_text() == "kept" and not list(tmp_path.rglob("*.json"))


def test_no_buffer_is_too_small_for_the_first_episodes(tmp_path, command):
    command(*QUICK, "--method", *loro.METHODS, "--buffer-size", 1, "--out", tmp_path)
    assert len(list(tmp_path.rglob("*.json"))) == len(loro.METHODS)


def test_a_result_that_cannot_be_written_is_refused_before_another_is_made(tmp_path, command):
    (tmp_path / "FrozenLake-v1" / "loro-1.json").mkdir(parents=True)
    with pytest.raises(FileExistsError, match=r"loro-1\.json is a folder"):
        command(*ONE, "--seeds", 2, "--out", tmp_path)
    assert len(list((tmp_path / "FrozenLake-v1").iterdir())) == 1


def test_an_environment_without_a_description_is_refused(command):
    with pytest.raises(UserError, match="'Acrobot-v1' has no description"):
        command("--env", "Acrobot-v1")


def test_a_refusal_is_one_line_and_exit_code_2(tmp_path):
    process = python(ROOT / "loro.py", "--env", "Nonsense-v0", cwd=tmp_path)
    out, err = process.communicate()
    assert process.returncode == 2 and out == "" and err.count("\n") == 1 and not list(tmp_path.iterdir())
    assert err.startswith("loro.py: 'Nonsense-v0' is not an environment known here; choose one of ")


def test_who_sets_the_number_of_threads_is_obeyed():
    asked, threads = "import os, loro; print(os.environ['OMP_NUM_THREADS'])", {**os.environ, "OMP_NUM_THREADS": "2"}
    assert python("-c", asked, cwd=ROOT, env=threads).communicate() == ("2\n", "")


def test_ctrl_c_keeps_what_is_finished(tmp_path):
    endless = ["--method", "random", "online", "--env", "FrozenLake-v1", "--evaluations", 1_000_000, "--out", tmp_path]
    process = python(ROOT / "loro.py", *endless)
    assert process.stderr.readline() == "1 of 2: FrozenLake-v1 random seed 0 is done\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == -signal.SIGINT and err == "loro.py: stopped; what is finished is kept\n"
    assert [path.name for path in tmp_path.rglob("*.json")] == ["random-0.json"] and not list(tmp_path.rglob("*.part"))


def test_ctrl_c_ends_the_imports_without_a_traceback(tmp_path):
    (tmp_path / "requests.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    process = python(ROOT / "loro.py", "--help", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    out, err = process.communicate()
    assert process.returncode == -signal.SIGINT and out == err == ""


def test_a_run_can_be_drawn(tmp_path, command):
    pytest.importorskip("matplotlib")
    lake = ["--env", "FrozenLake-v1", "--method", "llm", "random", "--out", tmp_path / "out", "--seeds", 2]
    command(*lake, "--figure", tmp_path / "new/figure.png")
    assert (tmp_path / "new/figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_has_the_methods_in_the_order_that_was_typed(tmp_path, command, calls):
    pytest.importorskip("matplotlib")
    saved, lake = calls(report, "save"), ["--env", "FrozenLake-v1", "--out", tmp_path / "out"]
    for methods in ["random", "llm"], ["llm", "random"]:
        command(*lake, "--method", *methods, "--figure", tmp_path / "figure.png")
        assert [method for _, method in saved[-1][0]] == methods


def test_a_figure_is_refused_before_the_runs_where_nothing_can_draw_it(tmp_path, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # so that it is not found
    with pytest.raises(UserError, match=r"--figure: it needs matplotlib; pip install matplotlib"):
        command("--env", "FrozenLake-v1", "--method", "llm", "--out", tmp_path / "out", "--figure", tmp_path / "a.png")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("figure", "problem"),
    [("out/figure.xyz", "is no .png or .svg or .pdf"), ("/dev/null/figure.png", "Not a directory|File exists")],
)
def test_a_figure_that_cannot_be_drawn_is_refused_before_the_runs(tmp_path, command, figure, problem):
    with pytest.raises((UserError, OSError), match=problem):
        command("--env", "FrozenLake-v1", "--method", "llm", "--out", tmp_path / "out", "--figure", tmp_path / figure)
    assert not (tmp_path / "out").exists()
