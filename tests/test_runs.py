"""Whole runs: determinism, independence, the methods, the command line and its refusals."""

import json
import math
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loro
import terminal
from agents.tabular import QTable
from envs_text import ENVIRONMENTS, find_environment
from episodes import read_rollouts

ROOT = Path(__file__).parent.parent
LAKE, CART = find_environment("FrozenLake-v1"), find_environment("CartPole-v1")


def recorded(name, environment):
    return read_rollouts(ROOT / "rollouts" / f"{name}.jsonl", name, environment.make())[1]


LAKE_EPISODES, CART_EPISODES = recorded("FrozenLake-v1", LAKE), recorded("CartPole-v1", CART)


def short(environment, name="loro", seed=0, evaluations=14, episodes=None, **settings):
    episodes = episodes or (LAKE_EPISODES if environment is LAKE else CART_EPISODES)
    settings = loro.Settings(evaluations, pretrain_steps=50, steps_per_evaluation=60, **settings)
    return loro.run(environment, loro.METHODS[name], seed, settings, episodes)


@pytest.mark.parametrize("environment", [LAKE, CART], ids=["table", "network"])
@pytest.mark.parametrize("name", ["loro", "online", "own-data"])
def test_repetitions_are_independent_and_equal_to_each_run_alone(environment, name):
    first, second, third = (short(environment, name, seed)[0] for seed in (0, 1, 0))
    assert first == third
    assert first != second


@pytest.mark.parametrize("name", loro.METHODS)
def test_every_method_has_the_same_number_of_evaluations(name):
    returns, _ = short(LAKE, name)
    assert len(returns) == 14 and all(type(r) is float for r in returns)


def test_llm_episodes_count_as_the_first_evaluations():
    assert short(LAKE)[0][:10] == [episode.total for episode in LAKE_EPISODES]
    assert short(LAKE, "llm")[0] == [0.7] * 14


def test_the_methods_are_the_rows_of_the_table():
    assert list(loro.METHODS) == [
        "online",
        "loro",
        "loro-paper",
        "forget",
        "mix",
        "random-data",
        "own-data",
        "llm",
        "random",
        "no-conservatism",
        "no-trust",
        "no-symmetric-sampling",
        "no-layer-norm",
        "no-advantage-learning",
    ]


@pytest.fixture
def updates(monkeypatch):
    """What each update of a run was made with: (share of the LLM's transitions, alpha)."""
    shares, made = [], []
    sample, learn = loro.ReplayBuffer.sample, QTable.learn

    def sampled(self, size, llm_share, rng):
        shares.append((llm_share, self.from_llm / len(self)))
        return sample(self, size, llm_share, rng)

    def learnt(self, batch, conservatism=0.0):
        made.append((*shares[-1], conservatism))
        return learn(self, batch, conservatism)

    monkeypatch.setattr(loro.ReplayBuffer, "sample", sampled)
    monkeypatch.setattr(QTable, "learn", learnt)
    return made


def test_conservatism_fades_with_the_learners_own_play(updates):
    short(LAKE, "no-trust", evaluations=31)
    alphas = [alpha for _, _, alpha in updates]
    assert alphas[:50] == [0.5] * 50  # pretraining
    assert alphas[50::60] == pytest.approx([0.5 * 10 / e for e in range(11, 31)])
    assert [share for share, _, _ in updates[50:]] == [0.5] * 60 * 20


def test_trust_scales_the_share_and_alpha_alike(updates):
    short(LAKE, "loro", evaluations=31)
    shares, _, alphas = np.array(updates[50:]).T
    fading = np.repeat([10 / e for e in range(11, 31)], 60)
    np.testing.assert_allclose(shares / 0.5, alphas / 0.5 / fading)
    assert shares.min() < 0.5


def test_the_ablations_leave_out_what_they_say(updates):
    short(LAKE, "no-conservatism")
    assert not any(alpha for _, _, alpha in updates)
    updates.clear()
    short(LAKE, "no-symmetric-sampling")
    assert updates[50][0] == pytest.approx(updates[50][1], rel=1e-3) and updates[50][1] > 0.99
    assert updates[-1][0] <= updates[-1][1] < 0.8
    assert short(CART, "no-layer-norm")[1].online.layer_norm is False
    assert short(CART, "loro")[1].online.layer_norm is True
    for env in (LAKE, CART):
        assert short(env, "no-advantage-learning")[1].action_gap == 0
        assert short(env, "loro")[1].action_gap == short(env, "online")[1].action_gap == 0.9


# but random-data, which trust keeps from pretraining
@pytest.mark.parametrize("name", [name for name, m in loro.METHODS.items() if m.learn and m.data in ("llm", "own")])
def test_methods_pretrain_and_keep_what_their_rows_say(name, updates):
    short(LAKE, name)
    method, online_updates = loro.METHODS[name], 3 * 60
    assert len(updates) == online_updates + 50 * method.pretrain
    assert (updates[-1][1] > 0) == method.keep


@pytest.fixture
def played(monkeypatch):
    """The learner's own transitions, as they are stored."""
    made, add = [], loro.ReplayBuffer.add

    def added(self, *transition, from_llm=False):
        if not from_llm:
            made.append(tuple(np.copy(x) for x in transition))
        add(self, *transition, from_llm=from_llm)

    monkeypatch.setattr(loro.ReplayBuffer, "add", added)
    return made


def test_the_learners_own_steps_are_stored_as_they_were_and_a_time_limit_ends_no_process(played, monkeypatch):
    judged, trust = [], loro.trust
    monkeypatch.setattr(loro, "trust", lambda llm, own, random: judged.append(list(own)) or trust(llm, own, random))
    short(CART, evaluations=24)  # with a good teacher the pole is often up at the time limit
    s, actions, rewards, s2, terminated = map(np.array, zip(*played))
    fallen = (abs(s2[:, 0]) > 2.4) | (abs(s2[:, 2]) > math.radians(12))
    np.testing.assert_array_equal(terminated, fallen)
    begins = np.flatnonzero((s[1:] != s2[:-1]).any(1)) + 1
    lengths = np.diff([0, *begins])
    assert fallen.any() and lengths.max() == 200 and (abs(s[begins]) <= 0.05).all()
    assert set(np.flatnonzero(fallen) + 1) - {len(s)} <= set(begins)
    np.testing.assert_allclose(s2[:, 0], s[:, 0] + 0.02 * s[:, 1], atol=1e-5)  # Euler's step of the cart
    assert (rewards == 1).all() and set(actions) == {0, 1}
    assert [own[-1] for own in judged[1:]] == lengths.tolist()[: len(judged) - 1]


def test_trust_counts_an_episode_that_was_cut_off_as_if_it_had_gone_on(monkeypatch):
    judged, whole = [], CART_EPISODES[0]
    cut = whole._replace(observations=whole.observations[:51], actions=whole.actions[:50], rewards=whole.rewards[:50])
    fallen = cut._replace(terminated=True, truncated=False)
    monkeypatch.setattr(loro, "trust", lambda llm, own, random: judged.append(llm) or 1.0)
    assert short(CART, episodes=[cut, fallen] * 5)[0][:10] == [50.0] * 10
    assert judged[0] == [200.0, 50.0] * 5


def test_exploration_is_random_at_first_but_for_a_teacher_who_is_trusted(played, monkeypatch):
    greedy, act = [], QTable.act

    def acted(self, observations):
        if len(observations) == 1:
            greedy.append(len(played))
        return act(self, observations)

    def share(start, end):
        return np.isin(np.arange(start, end), greedy).mean()

    monkeypatch.setattr(QTable, "act", acted)
    monkeypatch.setattr(loro, "evaluate", lambda agent, envs: 0.0)
    short(LAKE, "loro", evaluations=30, epsilon_steps=1000)
    assert share(0, 200) > 0.8
    for name in ("online", "no-trust"):
        played.clear()
        greedy.clear()
        short(LAKE, name, evaluations=31, epsilon_steps=1000)
        assert share(0, 100) < 0.2 and 0.4 < share(400, 600) < 0.6 and 0.8 < share(900, 1200) < 0.97


def test_only_the_last_step_of_a_terminated_episode_is_terminal():
    observations, actions, rewards, next_observations, terminated = map(np.array, zip(*loro.transitions(LAKE_EPISODES)))
    lengths = [len(e.actions) for e in LAKE_EPISODES]
    assert len(actions) == sum(lengths) and rewards.sum() == 7
    ends = {end - 1 for end, e in zip(np.cumsum(lengths), LAKE_EPISODES) if e.terminated}
    assert len(ends) == 9 and set(np.flatnonzero(terminated)) == ends
    assert not any(step[-1] for step in loro.transitions(CART_EPISODES))  # the time limit is not a failure
    np.testing.assert_array_equal(observations[: lengths[0]], LAKE_EPISODES[0].observations[:-1])
    np.testing.assert_array_equal(next_observations[: lengths[0]], LAKE_EPISODES[0].observations[1:])


def test_an_evaluation_is_the_mean_greedy_return():
    agent = QTable(16, 4, np.random.default_rng(0))
    agent.q[:, 2] = 1  # always right
    envs = [LAKE.make() for _ in range(3)]
    for seed, env in enumerate(envs):
        env.reset(seed=seed)
    twins = [LAKE.make() for _ in range(3)]
    expected = []
    for seed, env in enumerate(twins):
        env.reset(seed=seed)
        env.reset()
        rewards = []
        while True:
            _, reward, terminated, truncated, _ = env.step(2)
            rewards.append(reward)
            if terminated or truncated:
                break
        expected.append(sum(rewards))
    assert loro.evaluate(agent, envs) == pytest.approx(np.mean(expected))


def command(*arguments, cwd=None, **env):
    return subprocess.run(
        [sys.executable, ROOT / "loro.py", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
    )


QUICK = ["--env", "FrozenLake-v1", "--evaluations", 12, "--pretrain-steps", 20]


def test_the_command_line_shows_a_table_and_keeps_the_results(tmp_path):
    done = command(*QUICK, "--method", "loro", "online", "random", "--seeds", 2, "--out", tmp_path / "out")
    assert done.returncode == 0 and done.stderr == ""
    assert "10 episodes by Claude, mean return 0.70" in done.stdout and "→" in done.stdout
    files = sorted(p.name for p in (tmp_path / "out" / "FrozenLake-v1").iterdir())
    assert files == [f"{m}-{s}.json" for m in ("loro", "online", "random") for s in (0, 1)]
    result = json.loads((tmp_path / "out" / "FrozenLake-v1" / "loro-1.json").read_text())
    assert result["env"] == "FrozenLake-v1" and result["method"] == "loro" and result["seed"] == 1
    assert result["model"] == "Claude" and result["llm_episodes"] == 10 and len(result["returns"]) == 12
    assert result["cumulative_reward"] == pytest.approx(sum(result["returns"])) and result["seconds"] >= 0
    assert result["config"]["pretrain_steps"] == 20


def test_a_finished_run_is_not_run_again_and_other_settings_do_not_replace_it(tmp_path):
    one = [*QUICK, "--method", "loro", "--out", tmp_path]
    assert command(*one).returncode == 0
    path = tmp_path / "FrozenLake-v1" / "loro-0.json"
    before = path.read_bytes()
    again = command(*one)
    assert again.returncode == 0 and "loro" in again.stdout and path.read_bytes() == before
    other = command(*one, "--conservatism", 3)
    assert other.returncode == 2 and "other settings" in other.stderr and path.read_bytes() == before
    shorter = json.loads(before) | {"policy": [0, 1]}
    for damage in (before[:50], json.dumps(shorter).encode()):
        path.write_bytes(damage)
        done = command(*one)
        assert done.returncode == 2 and "not a whole result file" in done.stderr and path.read_bytes() == damage


def test_the_same_seed_gives_the_same_result_file(tmp_path):
    for out in "ab":
        assert command(*QUICK, "--method", "loro", "--out", tmp_path / out).returncode == 0
    first, second = (json.loads((tmp_path / out / "FrozenLake-v1" / "loro-0.json").read_text()) for out in "ab")
    assert first.pop("seconds") >= 0 and second.pop("seconds") >= 0
    assert first == second


def listed(**environment):
    output = subprocess.check_output([ROOT / "run_all.sh", "--list"], env={**os.environ, **environment}, text=True)
    return [shlex.split(line)[2:] for line in output.splitlines()]


@pytest.mark.parametrize("part", [{}, {"QUICK": "1"}, {"ROLLOUTS": "/my files/weak", "SEEDS": "3 4", "OUT": "/my out"}])
def test_the_study_is_a_list_of_runs_that_each_write_a_file_of_their_own(part):
    files = []
    for arguments in listed(**part):
        options = terminal.parse(arguments, loro.METHODS, loro.Settings._field_defaults)
        assert options.seeds == 1 and options.env in ENVIRONMENTS
        files += [(options.out, options.env, method, options.seed) for method in options.method]
    assert len(set(files)) == len(files) > 0


@pytest.mark.parametrize("seeds", ["5", "119 100", "a b", "1 2 3"])
def test_seeds_that_are_no_range_are_refused(seeds):
    done = subprocess.run([ROOT / "run_all.sh"], env={**os.environ, "SEEDS": seeds}, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1 and "SEEDS is" in done.stderr


def test_the_study_covers_every_method_and_twenty_seeds():
    main = [arguments for arguments in listed() if "results/study/main" in arguments]
    runs = {tuple(arguments[i] for i in (1, 3, 5)) for arguments in main}
    methods = list(loro.METHODS)[:9]
    environments = [name for name in ENVIRONMENTS if name != "FrozenLake8x8-v1"]
    assert runs >= {(env, m, str(seed)) for env in environments for m in methods for seed in range(100, 120)}


def write_lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


HEADER = {"format": "loro-rollouts-1", "env": "FrozenLake-v1"}
EPISODE = {"observations": [0, 4], "actions": [1], "rewards": [0.0], "terminated": False, "truncated": True}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--env", "Nonsense-v0"], "'Nonsense-v0' is not an environment"),
        (["--env", "Taxi-v4"], "'Taxi-v4' has no description"),
        ([], "--env"),
        (["--env", "FrozenLake-v1", "--method", "magic"], "invalid choice: 'magic'"),
        (["--env", "FrozenLake-v1", "--evaluations", "10"], "leaves none after"),
        (["--env", "FrozenLake-v1", "--evaluations", "0"], "not a whole number from 1 to"),
        (["--env", "FrozenLake-v1", "--seeds", "0"], "not a whole number from 1 to"),
        (["--env", "FrozenLake-v1", "--seeds", "-1"], "not a whole number"),
        (["--env", "FrozenLake-v1", "--seed", "-1"], "not a whole number"),
        (["--env", "FrozenLake-v1", "--llm-episodes", "11"], "holds 10 episodes"),
        (["--env", "FrozenLake-v1", "--llm-episodes", "-3"], "not a whole number"),
        (["--env", "FrozenLake-v1", "--pretrain-steps", "-3"], "not a whole number"),
        (["--env", "FrozenLake-v1", "--pretrain-steps", "many"], "not a whole number"),
        (["--env", "FrozenLake-v1", "--conservatism", "-0.1"], "not a number from 0 to"),
        (["--env", "FrozenLake-v1", "--conservatism", "nan"], "not a number from 0 to"),
        (["--env", "FrozenLake-v1", "--rollouts", "missing.jsonl"], "missing.jsonl"),
        (
            ["--env", "FrozenLake-v1", "--rollouts", str(ROOT / "rollouts" / "CartPole-v1.jsonl")],
            "episodes of CartPole-v1",
        ),
        (["--env", "FrozenLake8x8-v1"], "FrozenLake8x8-v1.jsonl"),
        (["--env", "FrozenLake-v1", "--rollouts", "action.jsonl"], "action.jsonl line 2: actions is not a list"),
        (["--env", "FrozenLake-v1", "--out", "file"], "file"),
        (["--env", "FrozenLake-v1", "--out", "/proc/nowhere"], "/proc/nowhere"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(tmp_path, arguments, problem):
    write_lines(tmp_path / "action.jsonl", HEADER, {**EPISODE, "actions": [4]})
    (tmp_path / "file").write_text("kept")
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and problem in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert (tmp_path / "file").read_text() == "kept" and not (tmp_path / "results").exists()


returns_of = st.lists(st.floats(-100, 100), min_size=1, max_size=12)


@given(returns_of, returns_of, st.floats(-100, 100))
def test_trust_is_a_probability_that_grows_with_the_llm_and_falls_with_the_learner(llm, own, random_return):
    now = loro.trust(llm, own, random_return)
    assert 0 <= now <= 1
    assert loro.trust([r + 1 for r in llm], own, random_return) >= now - 1e-9
    if now > 0:
        assert loro.trust(llm, [r + 1 for r in own], random_return) <= now + 1e-9


@given(returns_of, st.floats(0, 100))
def test_a_teacher_no_better_than_random_play_is_never_followed(llm, lead):
    assert loro.trust(llm, [-1000], float(np.mean(llm)) + lead) == 0


def test_trust_is_earned_and_lost():
    good, bad, random_return = [200.0] * 10, [31.0, 114, 27, 38, 27, 64, 38, 13, 21, 32], 22.4
    start = [random_return] * 10
    assert loro.trust(good, start, random_return) == 1
    assert loro.trust(bad, start, random_return) > 0.9
    assert loro.trust([22.0] * 9 + [27.0], start, random_return) < 0.5  # no more than luck
    assert loro.trust([1.0], [0.0], 0.5) == 1  # a single episode is taken at its word
    assert loro.trust(good, [200.0] * 10, random_return) == 1
    assert loro.trust(bad, [150.0] * 10, random_return) < 0.001
    assert loro.trust([-200.0] * 10, [-200.0] * 10, -200.0) == 0
