"""The environments on which nothing was tuned, and their teachers' recordings."""

import numpy as np
import pytest
from helpers import ROOT

from benchmarks import untuned
from envs_text import find_environment
from episodes import read_rollouts


def test_the_recordings_are_what_the_command_makes(tmp_path, monkeypatch, command):
    monkeypatch.setattr(untuned, "ROOT", tmp_path)
    command(program=untuned)
    for name in untuned.ENVIRONMENTS:
        path = f"study/untuned/{name}.jsonl"
        assert (tmp_path / path).read_bytes() == (ROOT / path).read_bytes()


@pytest.mark.parametrize("name", untuned.ENVIRONMENTS)
def test_each_may_be_played_and_described(name):
    environment = find_environment(f"benchmarks.untuned:{name}")
    env = environment.make()
    header, episodes = read_rollouts(ROOT / f"study/untuned/{name}.jsonl", f"benchmarks.untuned:{name}", env)
    assert len(environment.actions) == env.action_space.n and env.spec.max_episode_steps == 200
    assert header["model"] and len(episodes) == 10
    assert all(environment.describe(s).startswith(("You are", "The car")) for s in episodes[0].observations)
    low, high = environment.low or (0,), environment.high or (63,)
    assert (np.array(low) <= episodes[0].observations).all() and (episodes[0].observations <= np.array(high)).all()
