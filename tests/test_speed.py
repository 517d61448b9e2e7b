"""The benchmark of speed runs. How fast it finds anything is not judged here."""

from benchmarks import speed


def test_the_benchmark_of_whole_runs_and_of_collection_runs(capsys):
    speed.loops(evaluations=2)
    speed.collection(delay=0.0)
    out = capsys.readouterr().out
    assert "FrozenLake-v1: " in out and "ten episodes, 199 requests: " in out
