"""The report: its figures against a count by hand, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import report

ROOT = Path(__file__).parent.parent


def keep(folder, method, seed, returns, best_return=10.0, env="Walk-v0", **config):
    """Writes a result file, as loro.py does."""
    result = {
        "env": env,
        "method": method,
        "seed": seed,
        "model": "M" if method == "loro" else None,
        "config": {"evaluations": len(returns), **config},
        "returns": returns,
        "llm_episodes": 10 if method == "loro" else 0,
        "cumulative_reward": sum(returns),
        "best_return": best_return,
        "seconds": 1.0,
    }
    path = folder / env / f"{method}-{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result))
    return path


def command(*arguments):
    return subprocess.run([sys.executable, ROOT / "report.py", *arguments], capture_output=True, text=True)


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "study"
    for seed in range(3):
        keep(folder, "online", seed, [0.0] * 20 + [5.0] * 20)
        keep(folder, "loro", seed, [8.0] * 10 + [9.0 + seed / 2] * 30)
    return folder


def row(output, name):
    rows = ([cell.strip() for cell in line.split("|")] for line in output.splitlines())
    return next(cells for cells in rows if name in cells)


def test_the_table_agrees_with_a_count_by_hand(study):
    done = command(study)
    assert done.returncode == 0 and done.stderr == ""
    # Regret of online: 20 x 10 + 20 x 5 = 300; of loro: 10 x 2 + 30 x (1 + 1/2 + 0) / 3 = 35, of which 15 after the
    # LLM's episodes, over as many evaluations as online's first 30 with 20 x 10 + 10 x 5 = 250.
    assert row(done.stdout, "online")[3:-1] == ["3", "100.0", "100.0 to 100.0", "300.0", "", "", "3.33", "never"]
    assert row(done.stdout, "loro")[3:-1] == ["3", "365.0", "350.0 to 380.0", "35.0", "8.57", "0.06", "9.50", "20"]


def test_the_llms_own_evaluations_do_not_count_as_arrival(tmp_path):
    keep(tmp_path, "loro", 0, [10.0] * 15 + [0.0] * 10 + [10.0] * 15)
    keep(tmp_path, "online", 0, [0.0] * 10 + [10.0] * 30)
    assert [row(command(tmp_path).stdout, name)[-2] for name in ("loro", "online")] == ["35", "20"]
    keep(tmp_path / "short", "online", 0, [10.0] * 9)
    assert row(command(tmp_path / "short").stdout, "online")[-2] == "never"


def test_the_overview_has_a_row_a_method_and_a_column_an_environment_of_known_best(study):
    keep(study, "online", 0, [7.0] * 40, env="Run-v0")
    keep(study, "online", 0, [7.0] * 40, env="Pong-v0", best_return=None)
    lines = command(study, "--overview", "--methods", "online", "loro").stdout.splitlines()
    assert lines == [
        "| method | Run-v0 | Walk-v0 |",
        "| --- | ---: | ---: |",
        "| online | 120.0 (120.0 to 120.0) | 300.0 (300.0 to 300.0) |",
        "| loro |  | 35.0 (20.0 to 50.0) |",
    ]


def test_a_best_return_that_is_unknown_gives_no_regret(tmp_path):
    keep(tmp_path, "loro", 0, [1.0] * 40, best_return=None)
    done = command(tmp_path)
    assert row(done.stdout, "loro")[6:-1] == ["unknown", "", "", "1.00", ""]


def test_within_5_percent_of_a_negative_best_is_below_it(tmp_path):
    keep(tmp_path, "loro", 0, [-20.0] * 10 + [-10.4] * 30, best_return=-10.0)
    assert row(command(tmp_path).stdout, "loro")[-2] == "20"


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_the_interval_holds_the_mean_and_stays_within_the_sample(sample):
    low, high = report.interval(np.array(sample))
    assert min(sample) - 1e-6 <= low <= np.mean(sample) + 1e-6 and np.mean(sample) - 1e-6 <= high <= max(sample) + 1e-6


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    samples = np.random.default_rng(0).normal(size=(20, 1000))
    low, high = report.interval(samples)
    assert 0.90 < np.mean((low < 0) & (high > 0)) < 0.96  # a little below 0.95, as known of small samples


def test_folders_stand_side_by_side_and_are_compared_with_the_first(study, tmp_path):
    keep(tmp_path / "weak", "loro", 0, [0.0] * 40)
    keep(tmp_path / "weak", "mix", 0, [0.0] * 40)
    done = command(study, tmp_path / "weak")
    assert row(done.stdout, "loro, weak")[6:9] == ["400.0", "0.75", "1.20"]
    assert row(done.stdout, "loro")[6:9] == ["35.0", "8.57", "0.06"]
    assert "Walk-v0: loro, weak; mix, weak: 1 of 3 seeds; missing 1, 2" in done.stderr


def test_a_packed_study_gives_the_same_report(study, tmp_path):
    keep(tmp_path / "weak", "loro", 0, [0.0] * 40)
    first = command(study, tmp_path / "weak", "--pack", tmp_path / "study.jsonl.gz")
    assert "loro, weak" in first.stdout
    again = command(tmp_path / "study.jsonl.gz")
    assert again.returncode == 0 and again.stdout == first.stdout


def test_a_study_that_is_refused_is_not_packed_over_another(study, tmp_path):
    packed = tmp_path / "study.jsonl.gz"
    assert command(study, "--pack", packed).returncode == 0
    before = packed.read_bytes()
    assert refused(command(study, packed, "--pack", packed)) and packed.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study", "study.jsonl.gz"]


def test_a_method_alone_can_be_shown(study):
    done = command(study, "--methods", "loro")
    both = command(study, "--methods", "online", "loro").stdout
    assert both.index("online |") < both.index("loro |")
    assert "online |" not in done.stdout and row(done.stdout, "loro")[4] == "365.0"
    assert "no result is of magic; there are loro, online" in command(study, "--methods", "loro", "magic").stderr


def refused(done):
    return done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1


def test_runs_that_were_made_differently_are_not_mixed(study):
    keep(study, "loro", 3, [9.0] * 40, epsilon=0.5)
    done = command(study)
    assert refused(done) and "Walk-v0, loro: seeds 2 and 3 differ in epsilon" in done.stderr


def test_runs_of_unlike_length_are_not_compared(study):
    keep(study, "mix", 0, [9.0] * 50)
    done = command(study)
    assert refused(done) and "online 40, mix 50" in done.stderr


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:60] + b"!" + b[61:], lambda b: b"[]"])
def test_a_damaged_pack_is_named(study, tmp_path, damage):
    packed = tmp_path / "study.jsonl.gz"
    assert command(study, "--pack", packed).returncode == 0
    packed.write_bytes(damage(packed.read_bytes()))
    done = command(packed)
    assert refused(done) and f"{packed} is not a packed study" in done.stderr


def test_a_missing_argument_gets_one_line():
    assert refused(command())


def test_a_run_that_is_there_twice_is_refused(study):
    done = command(study, study)
    assert refused(done) and "are the same" in done.stderr


@pytest.mark.parametrize(
    "damage", [lambda s: s[:99], lambda s: s.replace("9.0", "NaN"), lambda s: s.replace("9.0, ", "", 1), lambda s: "[]"]
)
def test_a_damaged_file_is_named(study, damage):
    path = study / "Walk-v0" / "loro-0.json"
    path.write_text(damage(path.read_text()))
    done = command(study)
    assert refused(done) and str(path) in done.stderr


@pytest.mark.parametrize(("place", "problem"), [("nowhere", "there is no "), (".", "holds no results")])
def test_a_place_without_results_is_refused(tmp_path, place, problem):
    done = command(tmp_path / place)
    assert refused(done) and problem in done.stderr


def test_the_figure_has_a_panel_for_each_environment(study):
    pytest.importorskip("matplotlib")
    keep(study, "loro", 0, [1.0] * 40, best_return=None, env="Run-v0")
    figure = report.draw(report.group(report.read(study)))
    panels = {panel.get_title(): [line.get_label() for line in panel.get_lines()] for panel in figure.axes}
    assert panels == {
        "Run-v0": ["loro", "the LLM's mean"],
        "Walk-v0": ["loro", "online", "best attainable", "the LLM's mean"],
    }


def test_without_matplotlib_the_table_is_there_and_it_says_what_to_install(study, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr(sys, "argv", ["report.py", str(study), "--figure", str(tmp_path / "figure.png")])
    report.main()
    output = capsys.readouterr()
    assert row(output.out, "loro")[4] == "365.0" and "pip install matplotlib" in output.err
