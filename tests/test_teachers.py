"""Teachers of graded quality: their episodes, and the table of what becomes of their pupils."""

import numpy as np
import pytest
from helpers import environment

from benchmarks import teachers
from episodes import read_rollouts
from files import UserError

LAKE = "FrozenLake-v1"
QUICK = ["--env", LAKE, "--evaluations", 14, "--pretrain-updates", 9, "--clone-updates", 9, "--early-updates", 1]


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


def test_the_table_holds_what_pupils_lose_over_what_online_does(recorded, command):
    taught = [*QUICK, "--rollouts", f"study/teachers/random-1/{LAKE}.jsonl", "--out", "study/random-1"]
    command(*taught, "--method", "loro", "loro-plus", "--seeds", 2)
    head, _, row = command("study", program=teachers).out.splitlines()
    assert head.count("|") == row.count("|") == 7
    env, teacher, level, covered, *ratios = (cell.strip() for cell in row.strip("|").split("|"))
    assert (env, teacher) == (LAKE, "online-0, 100% at random")
    assert -0.1 < float(level) < 0.3 and 0 < float(covered) <= 1
    online = 4 * 0.744 - read(recorded, "main/online")[:2, :4].sum(1)  # of the pupils' seeds
    for cell, method in zip(ratios, ("loro-plus", "loro"), strict=True):
        regret = 4 * 0.744 - read(recorded, f"random-1/{method}")[:, 10:].sum(1)
        found, error = map(float, cell.split(" ± "))
        assert found == pytest.approx(regret.mean() / online.mean(), abs=0.005)
        assert error == pytest.approx(teachers.ratio(regret, online)[1], abs=0.005)


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
        command("study", program=teachers)


def test_without_online_there_is_nothing_to_compare_with(recorded, command):
    command(*QUICK, "--method", "loro", "--out", "study/alone")
    with pytest.raises(UserError, match="no pupils of a teacher whose recording is there, beside `online`"):
        command("study/alone", program=teachers)


def read(folder, name):
    place, method = name.split("/")
    runs = teachers.read_results(folder / "study" / place)
    return np.array([run["returns"] for run in runs if run["method"] == method])
