"""The benchmark of speed runs. How fast it finds anything is not judged here."""

from benchmarks import speed


def test_the_benchmark_of_whole_runs_runs(capsys):
    speed.loops(evaluations=2)
    assert "FrozenLake-v1: " in capsys.readouterr().out
