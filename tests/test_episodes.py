"""Episodes: played, evaluated, turned into transitions; rollout files, their exact replay, and what damage says."""

import json
import pickle
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from helpers import ROOT, SHIPPED, Doubling, environment, recorded, recording, reusing, value_iteration, write_lines
from hypothesis import given, settings
from hypothesis import strategies as st

import episodes
import loro
from agents.tabular import QTable
from episodes import Episode, episode_of, evaluate, play, read_rollouts, transitions, write_rollouts
from files import UserError
from replies import parse_action

LAKE, CART = gym.make("FrozenLake-v1"), gym.make("CartPole-v1", max_episode_steps=200)
MEAN_RETURNS = dict(zip(SHIPPED, [0.7, -13, 200, -114.7, -132.3, 0.1]))


def same(a, b):
    for name, x, y in zip(Episode._fields, a, b):
        assert type(x) is type(y), name
        np.testing.assert_array_equal(x, y, err_msg=name)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype, name


def all_same(a, b):
    for one, other in zip(a, b, strict=True):
        same(one, other)


def table(size, action=lambda state: 0):
    """A QTable that takes action(state) in each state."""
    agent = QTable(size, 4, 1.0, loro.Settings(1), np.random.default_rng(0))
    agent.q[np.arange(size), [action(state) for state in range(size)]] = 1.0
    return agent


# Play


def test_an_episode_is_what_happened():
    episode = play(Doubling(4), lambda observation: 0, 7)
    expected = np.arange(5), np.zeros(4, int), np.array([1.0, 0, 4, 0]), True, False
    same(episode, Episode(7, *expected))
    assert episode.total == 5.0


def test_an_episode_ends_at_a_time_limit_too():
    assert play(Doubling(2, terminates=False), lambda observation: 1, 0)[-3:] == (False, True, None)


def test_an_episode_begins_as_its_seed_says():
    seeds, env = [], Doubling(2)
    env.seeds = seeds
    play(env, lambda observation: 0, 5)
    assert seeds == [5]


@pytest.mark.parametrize(("terminates", "expected"), [(True, 15.0), (False, 15.0 * 200 / 4)])
def test_an_episode_that_was_cut_off_counts_as_if_it_had_gone_on(terminates, expected):
    episode = play(Doubling(4, terminates), lambda observation: observation % 2, 0)
    assert episode.full_return(200) == expected


def test_what_ended_by_itself_in_its_last_step_was_not_cut_off():
    episode = play(Doubling(4, terminates=True), lambda observation: observation % 2, 0)
    assert episode._replace(truncated=True).full_return(200) == episode.total == 15


def test_at_its_limit_an_episode_was_not_cut_off():
    episode = play(Doubling(200, terminates=False), lambda observation: observation % 2, 0)
    assert episode.full_return(200) == episode.total == 7 + 8 * 197
    costs = episode._replace(rewards=np.full(200, -1.7))
    assert costs.full_return(200) == costs.total  # to the last digit


# Evaluation


def test_an_evaluation_is_the_mean_undiscounted_return_of_whole_greedy_episodes():
    envs = [Doubling(1), Doubling(3, terminates=False), Doubling(150)]
    assert evaluate(table(201, lambda t: t % 2), envs) == (1 + 7 + 7 + 8 * 147) / 3


class Echo(gym.Env):
    """Shows its number, lasts so many steps, and pays for an action of that number."""

    action_space = observation_space = gym.spaces.Discrete(6)

    def __init__(self, number):
        self.number = number

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return self.number, {}

    def step(self, action):
        self.t += 1
        return self.number, float(action == self.number), self.t == self.number, False, {}


def test_an_evaluation_takes_in_each_environment_the_action_for_its_own_observation():
    echo = SimpleNamespace(values=lambda observations: np.eye(6)[observations])
    assert evaluate(echo, [Echo(number) for number in (1, 2, 3, 4, 5)]) == 3.0


def test_an_evaluation_plays_each_environment_to_its_own_end():
    envs = [Doubling(length) for length in (150, 3, 1)]
    evaluate(table(201), envs)
    assert [env.t for env in envs] == [150, 3, 1]


def test_an_evaluation_shows_the_agent_each_environments_own_observations():
    assert evaluate(table(201), [Doubling(2), Doubling(1), Doubling(3)]) == (1 + 1 + 5) / 3


@pytest.mark.parametrize("action", range(4))
def test_an_evaluation_agrees_with_play(action):
    envs, twins = ([environment("FrozenLake-v1").make() for _ in range(4)] for _ in range(2))
    for seed, env in enumerate(envs):
        env.reset(seed=seed)
    returns = []
    for seed, env in enumerate(twins):
        env.reset(seed=seed)
        returns.append(play(env, lambda observation: action, None).total)
    assert evaluate(table(16, lambda state: action), envs) == np.mean(returns)


# Transitions


def test_transitions_are_an_episodes_steps():
    episode = play(Doubling(3), lambda observation: 0, 0)
    steps = [(0, 0, 1, 1, False), (1, 0, 0, 2, False), (2, 0, 4, 3, True)]
    assert list(transitions([episode] * 2)) == steps * 2
    assert list(transitions([episode._replace(truncated=True)])) == steps  # it ends at the time limit's very step


def test_a_time_limit_makes_no_state_terminal():
    cut = play(Doubling(3, terminates=False), lambda observation: 0, 0)
    assert not any(terminated for *_, terminated in transitions([cut]))
    assert sum(terminated for *_, terminated in transitions(recorded("FrozenLake-v1")[1])) == 9  # of ten episodes


# The shipped recordings


@pytest.mark.parametrize("name", SHIPPED)
def test_each_recording_replays_exactly(name):
    (header, found), env = recorded(name), environment(name).make()
    assert header["model"] == "Claude" and header["env"] == name and len(found) == 10
    for episode in found:
        actions = iter(episode.actions)
        same(play(env, lambda observation: next(actions), episode.seed), episode._replace(replies=None))  # noqa: B023
    assert np.mean([episode.total for episode in found]) == pytest.approx(MEAN_RETURNS[name], abs=0.05)


@pytest.mark.parametrize("name", SHIPPED)
def test_each_recorded_reply_names_its_action(name):
    for episode in recorded(name)[1]:
        named = [parse_action(reply, environment(name).actions) for reply in episode.replies]
        assert named == episode.actions.tolist()


@pytest.mark.parametrize("name", ["MountainCar-v0", "Pendulum-v1", "RepresentedPong-v0"])
def test_the_ten_more_replay_exactly_from_other_starts_as_the_data_card_says(name):
    known, env = environment(name), environment(name).make()
    header, found = read_rollouts(ROOT / f"rollouts/claude-again/{name}.jsonl", name, env)
    assert header["model"] == "Claude" and header["rules"] == known.rules
    assert [episode.seed for episode in found] == list(range(10, 20))
    for episode in found:
        actions = iter(parse_action(reply, known.actions) for reply in episode.replies)
        same(play(env, lambda observation: next(actions), episode.seed), episode._replace(replies=None))  # noqa: B023
    steps, mean = sum(len(each.actions) for each in found), np.mean([each.total for each in found])
    card = (ROOT / "rollouts" / "README.md").read_text()
    assert f"| `claude-again/{name}.jsonl` | 10 | {steps:,} | {mean:.1f} |" in card


@pytest.mark.parametrize(("name", "pairs"), [("FrozenLake-v1", 11), ("CliffWalking-v1", 13)])
def test_the_recordings_contain_what_an_optimal_policy_visits(name, pairs):
    env, found = environment(name).make(), recorded(name)[1]
    P = env.unwrapped.P
    best = value_iteration(P, 0.99).argmax(1)
    visited, ahead = set(), [int(env.reset(seed=0)[0])]
    while ahead:
        s = ahead.pop()
        visited.add((s, int(best[s])))
        ahead += [s2 for _, s2, _, end in P[s][best[s]] if not end and (s2, best[s2]) not in visited]
    played = {pair for episode in found for pair in zip(episode.observations[:-1].tolist(), episode.actions.tolist())}
    assert len(visited) == pairs and visited <= played


@pytest.mark.parametrize("name", SHIPPED)
def test_the_data_card_counts_the_steps(name):
    steps = sum(len(episode.actions) for episode in recorded(name)[1])
    assert f"`{name}.jsonl` | 10 | {steps:,} |" in (ROOT / "rollouts" / "README.md").read_text()


weak = ROOT.parent / "shared" / "qwen2.5-7b"


@pytest.mark.skipif(not weak.is_dir(), reason="the weak teacher's episodes are not here")
@pytest.mark.parametrize("name", SHIPPED)
def test_the_weak_teachers_episodes_are_read(name):
    _, found = read_rollouts(weak / f"{name}.jsonl", name, environment(name).make())
    assert len(found) == 30 and all(episode.seed is None and episode.replies is None for episode in found)


# Round trips

finite = st.floats(-(2.0**29), 2.0**29, width=32)
texts = st.text(st.characters(exclude_categories=["Cs"]))
ends = st.sampled_from([(True, False), (False, True), (True, True)])


@st.composite
def cart_episodes(draw):
    T = draw(st.integers(1, 5))
    replies = st.none() | st.lists(texts, min_size=T, max_size=T)
    votes = st.lists(st.lists(texts, min_size=3, max_size=3), min_size=T, max_size=T)
    return Episode(
        draw(st.none() | st.integers(0, 2**31)),
        np.array(draw(st.lists(st.lists(finite, min_size=4, max_size=4), min_size=T + 1, max_size=T + 1)), np.float32),
        np.array(draw(st.lists(st.integers(0, 1), min_size=T, max_size=T))),
        np.array(draw(st.lists(st.floats(-1e9, 1e9), min_size=T, max_size=T)), float),
        *draw(ends),
        draw(replies | votes),
    )


@given(st.lists(cart_episodes(), min_size=1, max_size=3), texts)
def test_writing_then_reading_gives_the_same_episodes(tmp_path_factory, played, model):
    path = tmp_path_factory.mktemp("rollouts") / "new" / "file.jsonl"
    write_rollouts(path, {"env": "CartPole-v1", "model": model}, played)
    header, again = read_rollouts(path, "CartPole-v1", CART)
    assert header["model"] == model and header["episodes"] == len(played)
    all_same(again, played)
    assert [p.name for p in path.parent.iterdir()] == ["file.jsonl"]


def test_files_without_checksums_are_read(tmp_path):
    records = [json.loads(line) for line in recording("FrozenLake-v1").read_text().splitlines()]
    for record in records:
        del record["crc32"]
    all_same(read_lake(write_lines(tmp_path / "file.jsonl", *records)), recorded("FrozenLake-v1")[1])


def read_lake(path):
    return read_rollouts(path, "FrozenLake-v1", LAKE)[1]


# Damage

LAKE_FILE = recording("FrozenLake-v1").read_bytes()
HEADER = {"format": "loro-rollouts-1", "env": "FrozenLake-v1", "model": "M"}
EPISODE = {"seed": 0, "observations": [0, 4, 5], "actions": [1, 2], "rewards": [0, 0]}
EPISODE |= {"terminated": True, "truncated": False}
ONE_STEP = {"observations": [0, 4], "actions": [1], "rewards": [0]}
bits = st.sampled_from([b"", b"0", b"1", b"9", b" ", b"\n", b"-", b'"', b"]", b"\xff", b"NaN"]) | st.binary(max_size=3)


@settings(max_examples=300)
@given(st.integers(0, len(LAKE_FILE) - 1), st.sampled_from([0, 1, 1, 2, 3, 80, 100_000]), bits)
def test_damage_in_one_place_is_named_or_harmless(tmp_path_factory, start, length, instead):
    path = tmp_path_factory.mktemp("damaged") / "file.jsonl"
    path.write_bytes(LAKE_FILE[:start] + instead + LAKE_FILE[start + length :])
    try:
        header, found = read_rollouts(path, "FrozenLake-v1", LAKE)
    except ValueError as error:
        assert str(error).startswith(f"{path} line ") and "\n" not in str(error)
    else:
        assert header == recorded("FrozenLake-v1")[0]
        all_same(found, recorded("FrozenLake-v1")[1])


def test_a_line_that_does_not_agree_with_its_checksum_is_refused(tmp_path):
    lines, path = LAKE_FILE.splitlines(), tmp_path / "file.jsonl"
    for i, old, new in (3, b"0.0, 0.0", b"0.0, 1.0"), (3, b"crc32", b"crc3"), (0, b"crc32", b"crc3"):
        path.write_bytes(b"\n".join([*lines[:i], lines[i].replace(old, new, 1), *lines[i + 1 :]]))
        with pytest.raises(UserError, match=rf"file\.jsonl line {i + 1}: damaged"):
            read_lake(path)


def test_an_episode_that_was_taken_out_is_missed(tmp_path):
    lines, path = LAKE_FILE.splitlines(), tmp_path / "file.jsonl"
    path.write_bytes(b"\n".join([*lines[:3], *lines[4:]]))
    with pytest.raises(UserError, match=r"holds 9 episodes"):
        read_lake(path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"actions": [1, 4]}, "actions"),
        ({"actions": [1, -1]}, "actions"),
        ({"actions": [1, True]}, "actions"),
        ({"actions": [1, 1.0]}, "actions"),
        ({"actions": {"1": 1, "2": 2}}, "actions"),
        ({"actions": [], "rewards": [], "observations": [0]}, "actions"),
        ({"rewards": [0, float("nan")]}, "finite"),
        ({"rewards": [0, float("inf")]}, "finite"),
        ({"rewards": [0, 10**400]}, "rewards"),
        ({"rewards": [0, True]}, "rewards"),
        ({"rewards": [0]}, "rewards"),
        ({"observations": [0, 4]}, "observations"),
        ({"observations": [0, 4, 16]}, "observations"),
        ({"observations": [0, 4, 5.0]}, "observations"),
        ({"observations": [[0], [4], [5]]}, "observations"),
        ({"terminated": 1}, "true or false"),
        ({"truncated": None}, "true or false"),
        ({"terminated": False}, "neither terminated nor truncated"),
        ({"replies": ["1"]}, "replies"),
        ({"replies": ["1", 2]}, "replies"),
        ({"replies": ["1", []]}, "replies"),
        ({"replies": ["1", ["1", 2]]}, "replies"),
        ({"replies": "12"}, "replies"),
        ({"replies": 5}, "replies"),
        (ONE_STEP | {"replies": "1"}, "replies"),
        ({"seed": "0"}, "seed"),
        ({"seed": True}, "seed"),
        ({"seed": -1}, "seed: not a whole number from 0 on"),
    ],
)
def test_a_wrong_episode_is_refused_with_file_and_line(tmp_path, changes, problem):
    path = write_lines(tmp_path / "file.jsonl", HEADER, EPISODE, EPISODE | changes)
    with pytest.raises(UserError, match=rf"file\.jsonl line 3: .*{problem}"):
        read_lake(path)


@pytest.mark.parametrize("field", ["observations", "actions", "rewards", "terminated", "truncated"])
def test_an_episode_needs_each_of_its_fields(tmp_path, field):
    lacking = {name: value for name, value in EPISODE.items() if name != field}
    with pytest.raises(UserError, match=rf"line 2: .*{field}"):
        read_lake(write_lines(tmp_path / "file.jsonl", HEADER, lacking))


@pytest.mark.parametrize("observations", [[[0.0] * 4] * 2, [[0.0] * 3] * 3, [0.0] * 3, [[0.0, 0, 0, 1e999]] * 3])
def test_a_vector_has_as_many_finite_numbers_as_its_environment_says(tmp_path, observations):
    episode = EPISODE | {"observations": observations, "actions": [0, 1]}
    path = write_lines(tmp_path / "file.jsonl", HEADER | {"env": "CartPole-v1"}, episode)
    path.write_text(path.read_text().replace("Infinity", "1e999"))
    with pytest.raises(UserError, match=r"line 2: .*(observations|finite)"):
        read_rollouts(path, "CartPole-v1", CART)


@pytest.mark.parametrize("pixel", [256, -1, 1.5])
def test_whole_numbers_stay_what_they_are(pixel):
    env = gym.wrappers.TransformObservation(CART, lambda s: s, gym.spaces.Box(0, 255, (1,), np.uint8))
    good, bad = ({**EPISODE, "actions": [0, 1], "observations": [[0], [255], [x]]} for x in (7, pixel))
    assert episode_of(good, env).observations.dtype == np.uint8
    with pytest.raises(UserError, match=r"not 3 lists of 1 finite numbers \(uint8\)"):
        episode_of(bad, env)


def test_an_episode_of_an_environment_that_reuses_its_array_is_recorded_as_it_was():
    known = environment("CartPole-v1")
    first, again = (play(env, lambda observation: 0, 0) for env in (known.make(), reusing(known).make()))
    np.testing.assert_array_equal(first.observations, again.observations)


HEAD = json.dumps(HEADER).encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "holds 0"),
        (b"\n\n", "holds 0"),
        (pickle.dumps([1, 2]), "line 1: not JSON"),
        (b"[1]\n", "line 1: not a JSON object"),
        (b"[" * 100_000, "line 1: "),
        (b'{"a": ' * 100_000, "line 1: "),
        (b'{"env": "FrozenLake-v1"}\n', "line 1: .*not loro-rollouts-1"),
        (HEAD, "line 1: .*holds 0"),
        (HEAD.replace(b"FrozenLake", b"CartPole"), "line 1: .*CartPole-v1.*FrozenLake-v1"),
        (HEAD.replace(b"rollouts-1", b"rollouts-9"), "line 1: .*loro-rollouts-9"),
        (HEAD.replace(b'"M"', b"[1]") + b"\n" + json.dumps(EPISODE).encode(), "line 1: .*model"),
        (b"".join(LAKE_FILE.splitlines(keepends=True)[:5]), "line 5: .*holds 4"),
        (LAKE_FILE + LAKE_FILE.splitlines(keepends=True)[-1], "line 12: .*holds 11 episodes, not as many"),
    ],
)
def test_what_is_no_rollout_file_is_refused(tmp_path, content, problem):
    path = tmp_path / "file.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"file\.jsonl .*{problem}"):
        read_lake(path)


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(UserError, match=rf"there is no file {tmp_path / name}"):
        read_lake(tmp_path / name)


# The step limit


def steps(T, **changes):
    """A record of T steps in CartPole."""
    record = {"observations": [[0.0, 0, 0, t] for t in range(T + 1)], "actions": [1] * T, "rewards": [1.0] * T}
    return record | {"terminated": True, "truncated": False, "replies": ["1"] * T} | changes


@pytest.mark.parametrize("changes", [{}, {"replies": None}, {"terminated": False, "truncated": True}])
def test_an_episode_longer_than_the_step_limit_is_cut_at_it(tmp_path, changes):
    path = write_lines(tmp_path / "file.jsonl", HEADER | {"env": "CartPole-v1"}, steps(500, **changes))
    (episode,) = read_rollouts(path, "CartPole-v1", CART)[1]
    assert episode.total == episode.full_return(200) == len(episode.actions) == 200
    assert (episode.terminated, episode.truncated) == (False, True)
    assert len(episode.observations) == 201 and episode.observations[-1, -1] == 200
    assert len(episode.replies or [""] * 200) == 200


def test_an_episode_that_ends_at_the_step_limit_is_left_as_it_is(tmp_path):
    path = write_lines(tmp_path / "file.jsonl", HEADER | {"env": "CartPole-v1"}, steps(200))
    (episode,) = read_rollouts(path, "CartPole-v1", CART)[1]
    assert (len(episode.actions), episode.terminated, episode.truncated) == (200, True, False)


def test_numpys_numbers_in_an_episode_are_written_as_pythons(tmp_path):
    episode = play(Doubling(4), lambda observation: 0, 7)
    numpys = episode._replace(seed=np.int64(7), terminated=np.True_, truncated=np.False_)
    write_rollouts(tmp_path / "a", {"env": "Doubling"}, [episode])
    write_rollouts(tmp_path / "b", {"env": "Doubling"}, [numpys])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_record_of_an_episode_leaves_out_what_is_unknown():
    assert set(episodes.record_of(play(Doubling(1), lambda observation: 0, None))) == set(EPISODE) - {"seed"}


@pytest.mark.parametrize("wrong", [0, 3])  # shown by reset, and at the end
def test_an_observation_that_is_none_of_a_tables_states_is_refused(wrong):  # before a file holds it
    env = gym.wrappers.TransformObservation(Doubling(3), lambda s: 4 if s == wrong else s, gym.spaces.Discrete(4))
    with pytest.raises(UserError, match=r"episode with seed 7: the observation 4 is not in Discrete\(4\)"):
        play(env, lambda s: 0, 7)


def test_such_a_one_at_the_end_of_an_evaluation_is_refused():  # a table would show its last row for -1
    env = gym.wrappers.TransformObservation(Doubling(3), lambda s: -1 if s == 3 else s, gym.spaces.Discrete(4))
    with pytest.raises(UserError, match=r"the end of an evaluation: the observation -1 is not in Discrete\(4\)"):
        evaluate(table(4), [gym.wrappers.TransformObservation(Doubling(3), int, gym.spaces.Discrete(4)), env])


@pytest.mark.parametrize("wrong", [-1, 2])
def test_an_action_that_the_environment_does_not_have_is_refused(wrong):  # it may take it: -1 is Pendulum's last torque
    with pytest.raises(UserError, match=rf"episode with seed 7: the action {wrong} is not in Discrete\(2\)"):
        play(Doubling(3), lambda s: 0 if s == 0 else wrong, 7)


def test_a_vector_may_leave_its_space():  # its low and high are often guesses
    row = gym.spaces.Box(0, 1, (1,))
    env = gym.wrappers.TransformObservation(Doubling(3), lambda s: np.float32([s]), row)
    assert play(env, lambda s: 0, 7).observations.ravel().tolist() == [0, 1, 2, 3]


def test_a_reward_that_is_written_over_is_kept_as_it_was():
    one, rewards = np.zeros(()), []

    def overwritten(reward):
        one[...] = reward
        rewards.append(float(reward))
        return one

    found = play(gym.wrappers.TransformReward(Doubling(3), overwritten), lambda s: 0, 7).rewards
    assert found.tolist() == rewards and len(set(rewards)) == 3


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -2e12])
def test_what_no_file_could_hold_is_not_played_on(wrong):
    env = Doubling(3)
    for change in (lambda s: s), (lambda s: s + wrong):
        made = gym.wrappers.TransformObservation(env, change, gym.spaces.Box(-np.inf, np.inf, ()))
        if change(0) == 0:
            made = gym.wrappers.TransformReward(made, lambda r: r + wrong)
        with pytest.raises(UserError, match=r"seed 7: the (observation|reward) .* finite numbers? up to"):
            play(made, lambda s: 0, 7)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_evaluation_that_is_no_number_ends_the_run_at_once(wrong):
    with pytest.raises(UserError, match="no finite number; look at the environment's rewards and observations"):
        evaluate(table(201), [Doubling(1), gym.wrappers.TransformReward(Doubling(2), lambda r: wrong)])


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_agent_that_expects_no_number_ends_the_run_at_once(wrong):
    agent = table(201)
    agent.q[:, 1] = wrong
    with pytest.raises(UserError, match="the agent expects, what is no finite number"):
        evaluate(agent, [Doubling(1)])
