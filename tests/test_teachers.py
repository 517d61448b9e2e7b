"""Teachers of graded quality: their episodes, and what becomes of their pupils."""

from pathlib import Path

import numpy as np
import pytest
from helpers import environment

from benchmarks import teachers
from episodes import read_rollouts
from files import UserError, read_results
from report import group

LAKE = "FrozenLake-v1"
QUICK = ["--env", LAKE, "--evaluations", 14, "--pretrain-updates", 9, "--clone-updates", 9, "--early-updates", 1]
TWO = [*QUICK[2:], "--seeds", 2, "--steps-per-evaluation", 20]


@pytest.fixture
def recorded(command, tmp_path, monkeypatch):
    """A folder in which a policy that was kept has taught."""
    monkeypatch.chdir(tmp_path)
    command(*QUICK, "--method", "online", "--out", "study/main", "--seeds", 3)
    command(f"study/main/{LAKE}/online-0.npz", program=teachers)
    return tmp_path


def test_a_policy_plays_ten_episodes_for_each_share_of_random_actions(recorded):
    lengths = {}
    for share in teachers.SHARES:
        path = recorded / f"study/teachers/random-{share:g}/{LAKE}.jsonl"
        header, episodes = read_rollouts(path, LAKE, environment(LAKE).make())
        assert header["model"] == f"online-0, {share:.0%} at random" and len(episodes) == 10
        lengths[share] = np.concatenate([episode.actions for episode in episodes])
    assert len(set(lengths[1.0])) == 4 and lengths[0.0].tolist() != lengths[1.0].tolist()


def test_a_policy_of_an_environment_of_ones_own_teaches_where_it_is_to(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = "benchmarks.untuned:FrozenLake8x8-v1"
    command("--env", env, *QUICK[2:], "--method", "online")
    (policy,) = (tmp_path / "results").glob("*/online-0.npz")
    with pytest.raises(UserError, match=f"give --env {env}, if its module may be imported"):
        command(policy, program=teachers)
    command(policy, "--env", env, "--out", "mine", program=teachers)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/random-*/*")}
    assert names == {f"mine/random-{share:g}/benchmarks.untuned-FrozenLake8x8-v1.jsonl" for share in teachers.SHARES}
    recording = "mine/random-1/benchmarks.untuned-FrozenLake8x8-v1.jsonl"
    command("--env", env, *TWO, "--method", "loro", "--rollouts", recording, "--out", "taught/random-1")
    command("--env", env, *TWO, "--method", "online", "--out", "taught/main")
    monkeypatch.setattr(teachers, "TEACHERS", Path("mine"))
    ((found, teacher, _, covered, _),) = compared("taught")
    assert (found, teacher) == (env, "online-0, 100% at random") and covered > 0


def test_a_pupil_is_told_by_what_it_loses_over_what_online_does(recorded, command):
    taught = [*QUICK, "--rollouts", f"study/teachers/random-1/{LAKE}.jsonl", "--out", "study/random-1"]
    command(*taught, "--method", "loro", "loro-plus", "--seeds", 2)
    ((env, teacher, level, covered, lost),) = compared("study")
    assert (env, teacher) == (LAKE, "online-0, 100% at random")
    assert -0.1 < level < 0.3 and 0 < covered <= 1
    online = 4 * 0.744 - read(recorded, "main/online")[:2, :4].sum(1)  # of the pupils' seeds
    assert lost.keys() == {"loro-plus", "loro"}
    for method, (found, error) in lost.items():
        regret = 4 * 0.744 - read(recorded, f"random-1/{method}")[:, 10:].sum(1)
        assert found == pytest.approx(regret.mean() / online.mean())
        assert error == pytest.approx(teachers.ratio(regret, online)[1])


def test_a_ratios_standard_error_is_how_far_it_scatters():
    rng = np.random.default_rng(0)
    theirs = rng.normal(10, 2, (4000, 20))
    its = 0.3 * theirs + rng.normal(2, 1, theirs.shape)
    found, errors = zip(*map(teachers.ratio, its, theirs))
    assert np.mean(found) == pytest.approx(0.5, abs=0.01) and np.std(found) == pytest.approx(np.mean(errors), rel=0.1)
    assert teachers.ratio(theirs[0], theirs[0]) == (1.0, 0.0)


def test_pupils_of_other_seeds_are_not_compared(recorded, command):
    command(*QUICK, "--method", "loro", "--out", "study/alone", "--seed", 5)
    with pytest.raises(UserError, match="its seeds are not those of `online`"):
        compared("study")


def test_without_online_there_is_nothing_to_compare_with(recorded, command):
    command(*QUICK, "--method", "loro", "--out", "study/alone")
    assert not compared("study/alone")


def compared(place):
    return list(teachers.compare(group(read_results(place), ["online", "loro-plus", "loro"])))


def read(folder, name):
    place, method = name.split("/")
    runs = read_results(folder / "study" / place)
    return np.array([run["returns"] for run in runs if run["method"] == method])
