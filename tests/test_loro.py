"""Whole runs: the methods, what each update is made with, exploration, trust, and the command line."""

import inspect
import json
import math
import os
import re
import signal
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import pytest
from helpers import ROOT, documented, doubling, python, recording, world, write_lines

import agents
import envs_text
import episodes
import files
import llm_client
import loro
import terminal
from agents.dqn import DQN
from agents.tabular import QTable

LAKE, CART = world("FrozenLake-v1"), world("CartPole-v1")
TOY = doubling(np.arange(0.5, 10.5))  # the LLM's episodes pay 5 on average
TRUSTED = TOY[0]._replace(random_return=-1.0), TOY[1]  # any data are better than "random" play
BEATEN = doubling([0.5] * 10)  # any play does better
OUTDONE = LAKE[0]._replace(random_return=1.0), LAKE[1]  # an LLM that is worse than a random policy
DOUBTED = LAKE[0]._replace(random_return=0.35), LAKE[1]  # one that is surely better, but not beyond all doubt
PRETRAIN, STEPS, EVALUATIONS = 50, 60, 4  # updates; steps between two evaluations; these, after the LLM's
OWN_STEPS = STEPS * (EVALUATIONS - 1)


def short(world, name="loro-plus", seed=0, **settings):
    (environment, llm_episodes), method, patience = world, loro.METHODS[name], iter(range(50))
    usual = {"evaluations": (10 if method.data else 0) + EVALUATIONS}
    usual |= {"pretrain_updates": PRETRAIN, "steps_per_evaluation": STEPS, "early_updates": 1}
    settings = loro.Settings(**usual | settings)
    return loro.run(environment, method, settings, seed, llm_episodes, lambda text: next(patience))


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


def test_learner_data_actions_replay_and_environments_have_random_streams_of_their_own(calls, monkeypatch):
    def begin(seed, default_rng=np.random.default_rng):
        begun.append(default_rng(seed).random())
        return default_rng(seed)

    begun, learner, acting = [], calls(agents, "make_agent"), calls(episodes, "act")
    drawing = calls(loro.ReplayBuffer, "sample")
    monkeypatch.setattr(np.random, "default_rng", begin)
    short(TOY, "own-data")
    assert len(set(begun)) == len(begun) >= 5
    used = [{id(given[i]) for given in made} for made, i in ((learner, -1), (acting, 2), (drawing, -1))]
    assert [len(streams) for streams in used] == [1, 2, 1] and len(set.union(*used)) == 4  # data and actions both act


def test_the_actions_of_a_random_policy_and_its_world_do_not_depend_on_what_is_learnt_meanwhile(played):
    always = {"epsilon": 1.0}
    short(CART, "loro", **always)
    once = played.copy()
    played.clear()
    short(CART, "loro", **always, batch_size=7, hidden=(5,), pretrain_updates=3, discount=0.5)
    np.testing.assert_array_equal([a for _, a, *_ in once], [a for _, a, *_ in played])
    np.testing.assert_array_equal([s for s, *_ in once], [s for s, *_ in played])


def test_every_environment_of_a_run_is_seeded_differently():
    seeds = []
    world = doubling([1.0] * 10, seeds)
    for seed in range(3):
        short(world, "online", seed, episodes_per_evaluation=4)
    assert len(set(seeds)) == len(seeds) == 3 * (1 + 4)


# Methods


@pytest.mark.parametrize("name", loro.METHODS)
def test_every_method_has_as_many_evaluations(name):
    found, _ = short(LAKE, name, evaluations=13)
    assert len(found["returns"]) == 13 and all(type(x) is float for x in found["returns"])
    if loro.METHODS[name].plus:
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
    found, agent = short(TOY, name, pretrain_updates=0, evaluations=11)
    assert [given[1] for given in acting] == [epsilon] * 10 * 3 and not learning and agent.updates == 0
    assert not set(found["returns"][:10]) & {episode.total for episode in TOY[1]}


@pytest.mark.parametrize("name", ["loro", "llm", "clone"])
def test_fewer_episodes_than_there_are_are_drawn_by_the_seed(name, calls):
    drawing = calls(episodes, "transitions")
    for seed in range(30):
        short(TOY, name, seed, llm_episodes=3, evaluations=4, pretrain_updates=1, steps_per_evaluation=1)
    drawn = [[episode.total for episode in data] for (data,) in drawing]
    assert {len(each) for each in drawn} == {3} and len(set(map(tuple, drawn))) > 20
    assert all(each == sorted(each) for each in drawn)  # in their order
    assert {total for each in drawn for total in each} == {episode.total for episode in TOY[1]}


def test_all_episodes_that_there_are_stay_in_order(calls):
    drawing = calls(episodes, "transitions")
    short(TOY, "loro")
    assert drawing == [(TOY[1],)]


def test_the_methods_are_as_documented():
    whose = {"llm": "the LLM's", "random": "a random policy's", "own": "its own", None: ""}
    expected = {
        name: [whose[m.data], f"{m.pretrain:,}" if m.pretrain else "", "yes" * m.keep, "yes" * m.plus, m.fine_tune]
        for name, m in loro.METHODS.items()
    }
    rows = documented("| method | first episodes |")
    assert {name.strip("`"): [*cells, then == "learns"] for name, *cells, then in rows} == expected


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
    share: float  # of the LLM's transitions, as asked for
    held: float  # their share of the buffer
    size: int
    alpha: float
    td: bool
    step: int


@pytest.fixture
def made(monkeypatch):
    """What each update of a run was made with."""
    made, sample = [], loro.ReplayBuffer.sample

    def watched_sample(self, size, llm_share, rng):
        sampled[:] = llm_share, self.n_llm / len(self), size
        return sample(self, size, llm_share, rng)

    def watched(update):
        def watched_update(self, batch, alpha=0.0, td=True, step=0):
            made.append(Update(*sampled, alpha, td, step))
            update(self, batch, alpha, td, step)

        return watched_update

    sampled = []
    monkeypatch.setattr(loro.ReplayBuffer, "sample", watched_sample)
    for learner in (QTable, DQN):
        monkeypatch.setattr(learner, "update", watched(learner.update))
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




@pytest.mark.parametrize("name", [name for name, method in loro.METHODS.items() if method.pretrain])
def test_pretraining_is_on_the_first_episodes_alone(name, made):
    short(TRUSTED, name)
    assert {(u.share, u.held, u.size, u.step) for u in made[:PRETRAIN]} == {(1.0, 1.0, 64, 0)}


@pytest.mark.parametrize("name", [name for name, method in loro.METHODS.items() if method.pretrain])
def test_the_rows_pretraining_is_what_a_setting_may_replace(name, made):
    method = loro.METHODS[name]
    for setting, updates in ((7, 7), (0, 0), (None, method.pretrain)):
        made.clear()
        short(TRUSTED, name, pretrain_updates=setting, evaluations=11, episodes_per_evaluation=1)
        assert len(made) == updates


@pytest.mark.parametrize("name", ["online", "mix"])
def test_methods_without_pretraining_are_given_none(name, made):
    short(TOY, name, pretrain_updates=7)
    assert [update.step for update in made] == list(range(OWN_STEPS))


@pytest.mark.parametrize(("name", "updates"), [("loro", PRETRAIN), ("loro-plus", 0), ("clone", PRETRAIN)])
def test_only_loro_plus_does_without_pretraining_on_an_llm_that_it_does_not_trust(name, updates, made):
    found, _ = short(OUTDONE, name)
    assert len(made) == updates + OWN_STEPS * (name != "clone")
    if name == "loro-plus":
        assert set(found["trust"]) == {0.0}
        assert {u.alpha for u in made} == {0.0} and all(u.share == u.held > 0 for u in made)


def test_trust_scales_the_conservative_term_of_pretraining(made):
    found, _ = short(DOUBTED, "loro-plus", alpha=0.8)
    trust = found["trust"][0]
    assert 0.3 < trust < 0.7
    assert {(u.alpha, u.td) for u in made[:PRETRAIN]} == {(0.8 * trust, True)}


def test_the_conservative_term_and_the_llms_share_stay_while_trust_does(made):
    short(LAKE, "loro-plus", earned_trust=False, alpha=0.8, llm_share=1.0)
    fine_tuning = made[PRETRAIN:]
    assert [u.alpha for u in made[:PRETRAIN]] == [0.8] * PRETRAIN
    assert {(u.alpha, u.share, u.td, u.size) for u in fine_tuning} == {(0.8, 1.0, True, 64)}
    assert [u.step for u in fine_tuning] == list(range(OWN_STEPS))


@pytest.mark.parametrize("name", ["loro", "mix", "own-data", "forget", "online"])
def test_the_published_algorithm_draws_evenly_and_is_not_conservative(name, made):
    short(LAKE, name)
    method, fine_tuning = loro.METHODS[name], made[-OWN_STEPS:]
    assert len(made) == PRETRAIN * bool(method.pretrain) + OWN_STEPS
    assert {(u.alpha, u.td) for u in made} == {(0.0, True)}
    assert [u.share for u in fine_tuning] == [u.held for u in fine_tuning]
    assert (fine_tuning[0].held > fine_tuning[-1].held > 0) if method.keep else {u.held for u in fine_tuning} == {0}


@pytest.mark.parametrize("llm_share", [0.0, 0.1, 0.5, 0.9])
def test_the_llms_share_is_at_least_its_part_of_the_buffer(llm_share, made):
    short(LAKE, "loro-plus", llm_share=llm_share, earned_trust=False)
    assert [u.share for u in made[PRETRAIN:]] == [max(u.held, llm_share) for u in made[PRETRAIN:]]


@pytest.mark.parametrize(("name", "balance"), [("loro-plus", 0.7), ("random-data", 0.7), ("clone", 0.7), ("loro", 0)])
def test_the_llms_rare_actions_are_drawn_more_often_in_loro_plus_and_clone(name, balance, calls):
    begun = calls(loro, "ReplayBuffer")
    short(LAKE, name, balance=0.7)
    assert begun[0][3] == balance


@pytest.mark.parametrize("name", ["online", "loro-plus"])
def test_a_learner_updates_more_often_early_on(name, made):
    short(TRUSTED, name, early_updates=3, early_steps=100)
    own = made[PRETRAIN * (name == "loro-plus") :]
    assert [u.step for u in own] == [step for step in range(OWN_STEPS) for _ in range(3 if step < 100 else 1)]


def test_a_clone_imitates_and_then_changes_no_more(made):
    found, agent = short(LAKE, "clone", alpha=0.8)
    assert {(u.share, u.alpha, bool(u.td)) for u in made} == {(1.0, 0.8, False)}
    assert len(made) == agent.updates == PRETRAIN and len(found["returns"]) == 10 + EVALUATIONS


def test_what_an_environment_says_of_itself_reaches_the_learner():
    environment, llm_episodes = CART
    other = environment._replace(reward_scale=0.7, low=(-1, -1, -1, -1), high=(1, 2, 3, 4))
    agent = short((other, llm_episodes), pretrain_updates=1, evaluations=11)[1]
    assert agent.reward_scale == 0.7
    np.testing.assert_allclose(agent.scaled(np.array([other.low, other.high])), [[-1] * 4, [1] * 4])


OTHERWISE = {
    "evaluations": (LAKE, "loro", 13),
    "llm_episodes": (LAKE, "loro", 9),
    "pretrain_updates": (LAKE, "loro", 49),
    "steps_per_evaluation": (LAKE, "loro", 59),
    "episodes_per_evaluation": (LAKE, "loro", 4),
    "early_updates": (LAKE, "loro", 3),
    "early_steps": (LAKE, "loro", 30),
    "batch_size": (LAKE, "loro", 63),
    "buffer_size": (LAKE, "loro", 520),
    "discount": (LAKE, "loro", 0.9),
    "advantage_learning": (LAKE, "loro", 0.0),
    "epsilon": (LAKE, "loro-plus", 0.5),
    "epsilon_steps": (LAKE, "loro", 50),
    "table_learning_rate": (LAKE, "loro", 0.06),
    "hidden": (CART, "loro", (8,)),
    "layer_norm": (CART, "loro", False),
    "learning_rate": (CART, "loro", 0.01),
    "decay_steps": (CART, "loro", 10),
    "target_rate": (CART, "loro", 0.5),
    "acting_rate": (CART, "loro", 0.5),
    "alpha": (LAKE, "loro-plus", 0.4),
    "llm_share": (LAKE, "loro-plus", 0.95),
    "balance": (LAKE, "loro-plus", 0.0),
    "earned_trust": (DOUBTED, "loro-plus", False),
    "trust_window": (BEATEN, "loro-plus", 3),
}


@pytest.mark.parametrize("field", loro.Settings._fields)
def test_every_setting_makes_a_difference(field):
    world, name, value = OTHERWISE[field]
    usual = {"evaluations": 12, "early_updates": 2}
    (found, agent), (other, changed) = (short(world, name, **usual | s) for s in ({}, {field: value}))
    different = parameters(agent).shape != parameters(changed).shape or (parameters(agent) != parameters(changed)).any()
    assert different or found["returns"] != other["returns"]


# Trust


def test_trust_is_judged_after_every_other_episode_and_updates_are_made_with_what_it_is_then(made, played, monkeypatch):
    judged, watch = [], loro.Teacher.watch

    def watched(self, own_return):
        watch(self, own_return)
        judged.append((len(made) - PRETRAIN, own_return, self.trust))

    monkeypatch.setattr(loro.Teacher, "watch", watched)
    environment, llm_episodes = doubling([0.5, 4.5] * 5)
    found, _ = short((environment._replace(random_return=-9.0), llm_episodes), alpha=0.8, llm_share=0.3)
    rewards = np.array([float(reward) for _, _, reward, _, _ in played])
    steps, returns, after = zip(*judged[1:])  # but for the first time, before it has played
    assert list(steps) == list(range(2, OWN_STEPS, 6))  # an episode has three steps
    np.testing.assert_array_equal(returns, rewards.reshape(-1, 3).sum(1)[::2])
    trust = np.full(len(played), judged[0][2])
    for step, now in zip(steps, after):
        trust[step:] = now
    assert trust[0] > 0.99 > trust[-1] and len(set(trust)) > 3
    shares = np.maximum([u.held for u in made[PRETRAIN:]], 0.3 * trust)
    np.testing.assert_allclose([u.share for u in made[PRETRAIN:]], shares)
    np.testing.assert_allclose([u.alpha for u in made[PRETRAIN:]], 0.8 * trust)
    assert found["trust"] == [trust[0]] * 11 + [trust[STEPS * n - 1] for n in range(1, EVALUATIONS)]


def test_trust_compares_full_returns_with_a_random_policys(calls):
    made, whole = calls(loro, "Teacher"), CART[1][0]
    cut = whole._replace(observations=whole.observations[:51], actions=whole.actions[:50], rewards=whole.rewards[:50])
    fallen = cut._replace(terminated=True, truncated=False)
    found, _ = short((CART[0], [cut, fallen] * 5), "loro-plus", evaluations=11, trust_window=7)
    assert made == [([200.0, 50.0] * 5, CART[0].random_return, CART[0].random_std, 7, True)]
    assert found["returns"][:10] == [50.0] * 10


# Play


def falling(start, least=0.05, over=100):
    return [max(least, start * (1 - step / over)) for step in range(OWN_STEPS)]


@pytest.mark.parametrize(
    ("world", "name", "settings", "start"),
    [
        (LAKE, "online", {}, 1),
        (LAKE, "loro", {}, 1),
        (LAKE, "mix", {}, 1),
        (LAKE, "forget", {}, 1),
        (OUTDONE, "loro", {}, 1),
        (OUTDONE, "loro-plus", {}, 1),
    ],
)
def test_exploration_falls_from_one_where_no_llm_is_trusted(world, name, settings, start, calls):
    acting = calls(episodes, "act")
    short(world, name, epsilon_steps=100, **settings)
    assert [given[1] for given in acting] == pytest.approx(falling(start))


@pytest.mark.parametrize("settings", [{}, {"earned_trust": False}])
def test_beside_a_trusted_llm_every_other_episode_is_greedy_and_the_others_explore_as_in_the_end(settings, calls):
    acting = calls(episodes, "act")
    found, _ = short(BEATEN, "loro-plus", epsilon_steps=100, **settings)
    assert found["trust"][0] == 1 and (found["trust"][-1] < 1) == (not settings)  # lost or not, as it plays
    assert [given[1] for given in acting] == [0.05 * (step // 3 % 2) for step in range(OWN_STEPS)]


def test_a_half_trusted_llm_leaves_half_of_the_exploration(calls):
    acting = calls(episodes, "act")
    found, _ = short(DOUBTED, "loro-plus", epsilon=0.01, epsilon_steps=100)
    assert 0.3 < found["trust"][0] < 0.7
    explored, expected = [given[1] for given in acting], falling(1 - found["trust"][0], 0.01)
    assert explored[0] == 0 and 0.2 < np.mean(np.array(explored) > 0) < 0.8
    assert explored == pytest.approx([now if before else 0 for before, now in zip(explored, expected)])


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_a_share_of_epsilon_of_the_actions_is_random(epsilon):
    agent, rng = QTable(2, 4, 1.0, loro.Settings(1), np.random.default_rng(0)), np.random.default_rng(1)
    agent.q[1, 2] = 1.0
    actions = [episodes.act(agent, epsilon, rng, 1) for _ in range(2000)]
    assert {type(action) for action in actions} == {int}
    shares = np.bincount(actions, minlength=4) / 2000
    np.testing.assert_allclose(shares, epsilon / 4 + (1 - epsilon) * (np.arange(4) == 2), atol=0.04)


def test_the_learners_own_steps_are_stored_as_they_were_and_a_time_limit_ends_no_process(played, calls, monkeypatch):
    def balances_for_250_steps_in_300(agent, epsilon, rng, observation):
        return int(observation[2:].sum() > 0) if len(played) % 300 < 250 else 0

    judged = calls(loro.Teacher, "watch")
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
    judged = [own_return for _, own_return in judged[1:]]  # but for the first time, before it has played
    greedy = lengths[::2].tolist()
    assert judged[: len(greedy)] == greedy and len(judged) - len(greedy) in (0, 1)


def test_progress_is_told_before_each_evaluation():
    told = []
    environment, llm_episodes = TOY
    settings = loro.Settings(13, pretrain_updates=1, steps_per_evaluation=1)
    loro.run(environment, loro.METHODS["loro"], settings, 0, llm_episodes, told.append)
    assert told == [f"evaluation {number} of 13" for number in (10, 11, 12)]


# Refusals


@pytest.mark.parametrize("name", ["loro", "loro-plus", "forget", "mix", "clone", "llm"])
@pytest.mark.parametrize("there", [0, 9])
def test_a_run_refuses_fewer_episodes_than_it_needs(name, there):
    with pytest.raises(ValueError, match=f"{there} episodes.*--llm-episodes {there}"):
        short((TOY[0], TOY[1][:there]), name)


@pytest.mark.parametrize("name", [name for name, m in loro.METHODS.items() if m.data and (m.pretrain or m.fine_tune)])
@pytest.mark.parametrize("evaluations", [1, 10])
def test_a_run_refuses_a_budget_that_leaves_no_evaluation_of_its_own(name, evaluations):
    with pytest.raises(ValueError, match=f"--evaluations {evaluations} leaves none"):
        short(TOY, name, evaluations=evaluations)


@pytest.mark.parametrize("name", ["online", "llm", "random"])
def test_methods_without_first_episodes_of_their_own_take_any_budget(name):
    assert len(short(TOY, name, evaluations=1)[0]["returns"]) == 1


# Command line

QUICK = ["--env", "FrozenLake-v1", "--evaluations", 12, "--pretrain-updates", 20, "--steps-per-evaluation", 20]


def kept(folder):
    return {path.stem: json.loads(path.read_bytes()) for path in (folder / "FrozenLake-v1").glob("*.json")}


def test_the_command_line_shows_a_table_and_keeps_the_results(tmp_path, command):
    methods = "loro-plus", "online", "random"
    out, err = command(*QUICK, "--method", *methods, "--seed", 3, "--seeds", 2, "--out", tmp_path)
    assert "10 episodes by Claude, mean return 0.70" in out and f"kept in {tmp_path / 'FrozenLake-v1'}" in out
    assert "regret" in out and "→" in out and "loro-plus trusted the LLM: 0.98 at first" in out
    assert err.splitlines() == [f"FrozenLake-v1 {name} seed {seed} is done" for name in methods for seed in (3, 4)]
    assert set(kept(tmp_path)) == {f"{name}-{seed}" for name in methods for seed in (3, 4)}


@pytest.mark.parametrize("name", ["loro-plus", "online", "random-data"])
def test_a_result_holds_all_that_it_was_made_with(name, tmp_path, command):
    command(*QUICK, "--method", name, "--seed", 5, "--discount", 0.9, "--out", tmp_path)
    (found,) = kept(tmp_path).values()
    settings = loro.Settings(12, pretrain_updates=20, steps_per_evaluation=20, discount=0.9)
    expected, agent = loro.run(LAKE[0], loro.METHODS[name], settings, 5, LAKE[1])
    assert found["returns"] == expected["returns"] and found["trust"] == expected["trust"]
    assert found["cumulative_reward"] == sum(found["returns"])
    assert (found["env"], found["method"], found["seed"]) == ("FrozenLake-v1", name, 5)
    assert (found["model"], found["llm_episodes"]) == (("Claude", 10) if name == "loro-plus" else (None, 0))
    assert found["best_return"] == LAKE[0].best_return and found["updates"] == agent.updates and found["seconds"] >= 0
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
    settings = loro.Settings(12, pretrain_updates=20, steps_per_evaluation=100, early_updates=1)
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


def test_resume_skips_what_is_there(tmp_path, command, calls, monkeypatch):
    command(*ONE, "--seeds", 2, "--out", tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    monkeypatch.setattr(files, "code_checksum", lambda *parts: kept(tmp_path)["loro-0"]["config"]["code"])
    running = calls(loro, "run")
    assert "regret" in command(*ONE, "--seeds", 2, "--resume", "--out", tmp_path).out
    command(*ONE, "--seeds", 3, "--resume", "--out", tmp_path)
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
        (["--no-earned-trust", "--alpha", 2], "alpha 0.5, not 2.0; earned_trust True, not False"),
    ],
)
def test_resume_refuses_what_was_made_otherwise(options, unlike, tmp_path, command):
    command(*ONE, "--out", tmp_path)
    path = tmp_path / "FrozenLake-v1" / "loro-0.json"
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"{path}.* made with {unlike}; give another --out"):
        command(*ONE, *options, "--resume", "--out", tmp_path)
    assert path.read_bytes() == before


def test_resume_refuses_other_episodes(tmp_path, command):
    header, *lines = recording("FrozenLake-v1").read_text().splitlines()
    (tmp_path / "other.jsonl").write_text("\n".join([header, *reversed(lines)]))
    command(*ONE, "--out", tmp_path)
    with pytest.raises(ValueError, match=r"made with episodes \w{8}, not \w{8}; give"):
        command(*ONE, "--resume", "--out", tmp_path, "--rollouts", tmp_path / "other.jsonl")


def test_resume_refuses_another_row_of_the_table(tmp_path, command, monkeypatch):
    command(*ONE, "--out", tmp_path)
    monkeypatch.setitem(loro.METHODS, "loro", loro.METHODS["loro"]._replace(keep=False))
    with pytest.raises(ValueError, match="made with keep True, not False; give"):
        command(*ONE, "--resume", "--out", tmp_path)


def test_resume_refuses_other_code(tmp_path, command, monkeypatch):
    command(*ONE, "--out", tmp_path)
    monkeypatch.setattr(files, "code_checksum", lambda *parts: "00000000")
    with pytest.raises(ValueError, match=r"made with code \w{8}, not 00000000; give"):
        command(*ONE, "--resume", "--out", tmp_path)


def test_the_code_that_counts_is_that_of_runs_episodes_and_learners(tmp_path, command, calls):
    counting = calls(files, "code_checksum")
    command(*ONE, "--out", tmp_path)
    names = {part.__name__ for part in counting[0]}
    learners = {f"agents.{path.stem}" for path in (ROOT / "agents").glob("[!_]*.py")}
    assert names >= {"run", "episodes", "agents"} | learners


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


@pytest.mark.parametrize("field", [f for f in loro.Settings._fields if f not in ("layer_norm", "earned_trust")])
@pytest.mark.parametrize("value", ["-1", "nan", "many", "1e9"])
def test_a_setting_that_makes_no_sense_is_refused(field, value):
    with pytest.raises(ValueError, match=f"{option(field)}: .*is not a (whole )?number from .*see --help"):
        parse(f"{option(field)}={value}")


@pytest.mark.parametrize("field", ["evaluations", "batch_size", "buffer_size", "hidden", "decay_steps", "trust_window"])
def test_what_is_counted_begins_with_one(field):
    with pytest.raises(ValueError, match="not a whole number from 1 to"):
        parse(option(field), 0)


FRACTIONS = [f for f, default in loro.Settings._field_defaults.items() if type(default) is float and f != "alpha"]


@pytest.mark.parametrize("field", FRACTIONS)
def test_what_is_a_part_of_a_whole_is_at_most_one(field):
    assert parse(option(field), 1)[1] == {field: 1}
    with pytest.raises(ValueError, match="not a number from 0 to 1; "):
        parse(option(field), 1.01)


def test_pretraining_may_be_none_and_a_share_too():
    assert parse("--pretrain-updates", 0, "--llm-share", 0)[1] == {"pretrain_updates": 0, "llm_share": 0}


def test_without_options_the_settings_are_the_defaults():
    options, settings, asking = parse()
    assert settings == asking == {} and options.method == ["loro-plus", "loro", "online"]
    assert (options.seed, options.seeds, str(options.out), options.resume) == (0, 1, "results", False)


def test_an_option_reaches_the_learner_as_it_would_by_default(tmp_path, command):
    for out, options in (("a", []), ("b", ["--hidden", 64, 64, "--discount", 0.99, "--layer-norm"])):
        command(*ONE, *options, "--out", tmp_path / out)
    first, second = (kept(tmp_path / out)["loro-0"] for out in "ab")
    assert first["config"] == second["config"] and first["returns"] == second["returns"]


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


# What is refused

HEADER = {"format": "loro-rollouts-1", "env": "FrozenLake-v1"}
EPISODE = {"observations": [0, 4], "actions": [4], "rewards": [0.0], "terminated": False, "truncated": True}


def test_a_temperature_may_be_above_one():
    arguments = ["--env", "FrozenLake-v1", "--temperature", "1.5"]
    assert terminal.parse(loro.METHODS, loro.Settings, llm_client.Asking, arguments)[2] == {"temperature": 1.5}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--env", "Nonsense-v0"], "'Nonsense-v0' is not an environment"),
        (["--env", "FrozenLake-v1\nx"], "is not an environment"),
        ([], "--env"),
        (["--env", "FrozenLake-v1", "--method", "magic"], "invalid choice: 'magic'"),
        (["--env", "FrozenLake-v1", "--magic"], "unrecognized arguments: --magic"),
        (["--env", "FrozenLake-v1", "--method", "online", "loro", "--evaluations", 10], "leaves none after"),
        (["--env", "FrozenLake-v1", "--seeds", 0], "not a whole number from 1 to"),
        (["--env", "FrozenLake-v1", "--seed", -1], "not a whole number"),
        (["--env", "FrozenLake-v1", "--llm-episodes", 11], "holds 10 episodes; give --llm-episodes 10"),
        (["--env", "FrozenLake-v1", "--llm-episodes", -3], "not a whole number"),
        (["--env", "FrozenLake-v1", "--rollouts", "missing.jsonl"], "missing.jsonl"),
        (["--env", "FrozenLake-v1", "--rollouts", "."], "there is no file ."),
        (["--env", "FrozenLake-v1", "--rollouts", "/dev/zero"], "/dev/zero"),
        (["--env", "FrozenLake-v1", "--rollouts", recording("CartPole-v1")], "of CartPole-v1, not"),
        (["--env", "FrozenLake-v1", "--rollouts", "action.jsonl"], "action.jsonl line 2: actions"),
        (["--env", "FrozenLake-v1", "--out", "file"], "file"),
        (["--env", "FrozenLake-v1", "--out", "/proc/nowhere"], "/proc/nowhere"),
        (["--env", "FrozenLake-v1", "--buffer-size", 100], "a buffer of 100 has no room"),
    ],
)
def test_bad_input_is_refused_in_a_line_before_anything_is_written(tmp_path, monkeypatch, command, arguments, problem):
    write_lines(tmp_path / "action.jsonl", HEADER, EPISODE)
    (tmp_path / "file").write_text("kept")
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, OSError)) as refused:
        command(*arguments)
    assert problem in str(refused.value) and len(terminal.printable(refused.value).splitlines()) == 1
    assert (tmp_path / "file").read_text() == "kept" and not list(tmp_path.rglob("*.json"))


def test_a_result_that_cannot_be_written_is_refused_before_another_is_made(tmp_path, command):
    (tmp_path / "FrozenLake-v1" / "loro-1.json").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match=r"loro-1\.json is a folder"):
        command(*ONE, "--seeds", 2, "--out", tmp_path)
    assert len(list((tmp_path / "FrozenLake-v1").iterdir())) == 1


def test_an_environment_without_a_description_is_refused(monkeypatch, command):
    monkeypatch.delitem(envs_text.ENVIRONMENTS, "CartPole-v1")
    with pytest.raises(ValueError, match="'CartPole-v1' has no description"):
        command("--env", "CartPole-v1")


def test_a_refusal_is_one_line_and_exit_code_2(tmp_path):
    process = python(ROOT / "loro.py", "--env", "Nonsense-v0", cwd=tmp_path)
    out, err = process.communicate()
    assert process.returncode == 2 and out == "" and err.count("\n") == 1 and not list(tmp_path.iterdir())
    assert err.startswith("loro.py: 'Nonsense-v0' is not an environment known here; choose one of ")


def test_ctrl_c_keeps_what_is_finished(tmp_path):
    endless = ["--method", "random", "online", "--env", "FrozenLake-v1", "--evaluations", 1_000_000, "--out", tmp_path]
    process = python(ROOT / "loro.py", *endless)
    assert process.stderr.readline() == "FrozenLake-v1 random seed 0 is done\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130 and err == "loro.py: stopped; what is finished is kept\n"
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


@pytest.mark.parametrize("figure", ["figure.xyz", "/dev/null/figure.png"])
def test_a_figure_that_cannot_be_drawn_is_refused_before_the_runs(tmp_path, command, figure):
    with pytest.raises((ValueError, OSError), match=r"figure|/dev/null"):
        command("--env", "FrozenLake-v1", "--method", "llm", "--out", tmp_path / "out", "--figure", figure)
    assert not (tmp_path / "out").exists()
