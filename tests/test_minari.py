"""Recorded episodes as a Minari dataset, and back, with real Minari."""

import numpy as np
import pytest
from helpers import SHIPPED, environment, recorded, recording

from episodes import read_rollouts, write_rollouts

minari = pytest.importorskip("minari", reason="without Minari: pip install 'minari[hdf5]'")
pytest.importorskip("h5py", reason="without h5py: pip install 'minari[hdf5]'")

from minari.data_collector import EpisodeBuffer  # noqa: E402

from benchmarks.minari_files import from_minari, to_minari  # noqa: E402
from files import UserError  # noqa: E402


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path


def same(one, other):
    assert len(one) == len(other) > 0
    for x, y in zip(one, other):
        for name, a, b in zip(x._fields, x, y):
            if isinstance(a, np.ndarray):
                assert a.dtype == b.dtype, name
                np.testing.assert_array_equal(a, b)
            else:
                assert a == b and type(a) is type(b), name


@pytest.mark.parametrize("name", SHIPPED)
def test_nothing_is_lost_on_the_way_there_and_back(folder, name):
    dataset = to_minari(recording(name), "kept/claude-v0")
    from_minari("kept/claude-v0", folder / "back.jsonl", name)
    header, episodes = read_rollouts(folder / "back.jsonl", name, environment(name).make())
    same(recorded(name)[1], episodes)
    assert header["model"] == "Claude" and dataset.total_steps == sum(len(each.actions) for each in episodes)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": None},
        {"replies": None},
        {"replies": [["0", "Action: 1 \u2190"]] * 13},
        {"terminated": False, "truncated": True},
    ],
)
def test_what_an_episode_lacks_or_has_more_is_kept_too(folder, change):
    _, episodes = recorded("CliffWalking-v1")
    odd = [episode._replace(**change) for episode in episodes[:2]]
    write_rollouts(folder / "odd.jsonl", {"env": "CliffWalking-v1", "model": None}, odd)
    to_minari(folder / "odd.jsonl", "odd-v0")
    from_minari("odd-v0", folder / "back.jsonl", "CliffWalking-v1")
    same(odd, read_rollouts(folder / "back.jsonl", "CliffWalking-v1", environment("CliffWalking-v1").make())[1])


@pytest.mark.filterwarnings("ignore::UserWarning:minari")
def test_an_episode_that_a_foreign_dataset_cuts_off_without_a_word_is_truncated(folder):
    space = environment("CartPole-v1").make()
    buffer = EpisodeBuffer(None, 0, None, [np.zeros(4, np.float32)] * 3, [0, 1], [1.0, 1.0], [False] * 2, [False] * 2)
    spaces = {"action_space": space.action_space, "observation_space": space.observation_space}
    minari.create_dataset_from_buffers("foreign-v0", [buffer], **spaces, data_format="hdf5")
    from_minari("foreign-v0", folder / "back.jsonl", "CartPole-v1")
    _, (episode,) = read_rollouts(folder / "back.jsonl", "CartPole-v1", space)
    assert (episode.terminated, episode.truncated, len(episode.actions)) == (False, True, 2)


def test_what_a_file_names_is_no_reason_to_import_it(folder, own_module):
    own_module("raise SystemExit('imported')\n")
    header = {"env": "my_games:CliffWalking-v1"}
    write_rollouts(folder / "own.jsonl", header, recorded("CliffWalking-v1")[1])
    with pytest.raises(UserError, match="give --env my_games:CliffWalking-v1, if its module may be imported"):
        to_minari(folder / "own.jsonl", "own-v0")
    own_module("import envs_text\nENVIRONMENTS = {'CliffWalking-v1': envs_text.cliff_walking}\n")
    assert to_minari(folder / "own.jsonl", "own-v0", header["env"]).total_episodes == 10


@pytest.mark.parametrize("name", ["kept/claude-v0", "a b-v0", "a.b-v0", "../up-v0", "lake"])
def test_a_dataset_that_is_there_or_cannot_be_is_refused(folder, name):
    to_minari(recording("CliffWalking-v1"), "kept/claude-v0")
    with pytest.raises(UserError, match=f"{name}: .*; give a new name"):
        to_minari(recording("CartPole-v1"), name)
    assert [each.name for each in (folder / "minari").iterdir()] == ["kept"]
    from_minari("kept/claude-v0", folder / "back.jsonl", "CliffWalking-v1")


@pytest.mark.parametrize(("made", "asked"), [("CartPole-v1", "FrozenLake-v1"), ("FrozenLake-v1", "CliffWalking-v1")])
def test_a_dataset_of_another_environment_is_refused(folder, made, asked):
    to_minari(recording(made), "kept/claude-v0")
    with pytest.raises(UserError, match=f"kept/claude-v0 is of .*, and {asked} of .*; give another --env"):
        from_minari("kept/claude-v0", folder / "back.jsonl", asked)
    assert not (folder / "back.jsonl").exists()
