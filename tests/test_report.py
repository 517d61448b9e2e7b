"""The report: its figures against a count by hand, the names of its rows, its figure, and what it refuses."""

import io
import json
import os
import shlex
import signal
import subprocess
import sys
from types import SimpleNamespace
from xml.dom import minidom

import numpy as np
import pytest
from helpers import ROOT, python
from hypothesis import given
from hypothesis import strategies as st

import files
import loro
import report
import terminal

LLM = ("loro", "loro-plus", "llm")


def keep(folder, method, seed, returns, env="Walk-v0", best=10.0, model="M", **config):
    """Writes a result file, as loro.py does; methods of the LLM start from two episodes."""
    llm = method in LLM
    result = {"env": env, "method": method, "seed": seed, "model": model if llm else None, "best_return": best}
    result |= {"llm_episodes": 2 if llm else 0, "returns": returns, "config": {"evaluations": len(returns), **config}}
    path = folder / env / f"{method}-{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result))
    return path


@pytest.fixture
def show(monkeypatch, capsys):
    """`python report.py ARGUMENTS`, in this process: its exit code, stdout (out) and stderr (err)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["report.py", *map(str, arguments)])
        monkeypatch.setattr(os, "_exit", sys.exit)
        code = 0
        try:
            terminal.guard(report.main, "report.py")
        except SystemExit as end:
            code = end.code
        return SimpleNamespace(code=code, **capsys.readouterr()._asdict())

    return run


def rows(done):
    """{(env, name): the other cells}."""
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in done.out.splitlines()[2:]]
    return {(env, name): rest for env, name, *rest in cells}


def names(done):
    return [name for _, name in rows(done)]


def refused(done, *problems):
    return (
        done.code == 2 and done.out == "" and done.err.count("\n") == 1 and all(each in done.err for each in problems)
    )


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "study"
    for seed in range(5):
        keep(folder, "online", seed, [0.0] * 20 + [4.0 + seed] * 20)
        keep(folder, "loro", seed, [8.0] * 2 + [9.0 + seed / 4] * 38)
    return folder


def test_the_table_agrees_with_a_count_by_hand(study, show):
    done = show(study)
    assert done.code == 0 and done.err == ""
    assert done.out.splitlines()[0].count("|") == done.out.splitlines()[1].count("|") == 11
    # Regret of online: 20 x 10 + 20 x 4 = 280; of loro: 2 x 2 + 38 x 1/2 = 23, of which 19 after the LLM's episodes,
    # over as many evaluations as online's first 38, with 20 x 10 + 18 x 4 = 272. Five seeds that are evenly spaced:
    # among 5^5 resamples 56 have a mean of at most the least one and 3/5 of a space, 126 one of 4/5, so it is that of
    # 4/5 that the interval, which leaves out 2.5% or 78 of them, begins at. Seed by seed loro has 278, 267.5, ..., 236
    # more: on average 257, with a standard deviation of 10.5 sqrt(5/2), over sqrt(5): t is 257 sqrt(2) / 10.5.
    online = ["5", "120.0", "96.0 to 144.0", "280.0", "1.00", "", "", "4.00"]
    loro = ["5", "377.0", "365.6 to 388.4", "23.0", "12", "34.6", "14", "9.50"]
    assert rows(done) == {("Walk-v0", "loro"): loro, ("Walk-v0", "online"): online}


def test_a_little_more_than_the_best_is_no_regret(tmp_path, show):
    keep(tmp_path, "online", 0, [10.001] * 3)
    assert "| 0.0 |" in show(tmp_path).out and "| 0.0 |" in show(tmp_path, "--brief").out


def test_after_the_llm_as_many_evaluations_of_online_are_compared_from_its_first(tmp_path, show):
    keep(tmp_path, "online", 0, [0.0, 4.0, 8.0, 9.0])
    keep(tmp_path, "loro", 0, [5.0, 5.0, 8.0, 9.0])
    assert rows(show(tmp_path))["Walk-v0", "loro"][6] == "5.33"  # (10 + 6) / (2 + 1)


def test_after_episodes_that_fill_the_budget_there_is_nothing_to_compare():
    made = [{"method": name, "seeds": [0], "returns": np.full((1, 8), 5.0), "best_return": 10, "llm_episodes": n}
            for name, n in (("online", 0), ("llm", 10))]
    *_, llm = report.table({("A-v0", row["method"]): row for row in made})
    assert llm.endswith("| 40.0 | 1.00 |  |  |  |")


def test_the_brief_table_has_a_line_an_environment(study, show):
    keep(study, "loro-plus", 0, [9.5] * 40)
    for method, reward in {"loro": 1.0, "online": 2.0, "loro-plus": 3.0}.items():
        keep(study, method, 0, [reward, 2 * reward], "Zero-v0", best=None)
    for method in "online", "loro-plus":
        keep(study, method, 0, [10.0 - (method == "online")] * 3, "Won-v0")
    done = show(study, "--brief", "--methods", "online", "loro", "loro-plus")
    assert done.out.splitlines() == [
        "| environment | online | loro | loro-plus | online's regret / loro-plus's |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| Walk-v0 | 280 (256 to 304) | 23.0 (11.6 to 34.4) | 20.0 | 14 |",
        "| Won-v0 | 3.0 |  | 0.0 | no regret left |",
        "| Zero-v0 (reward) | 6.0 | 3.0 | 9.0 |  |",
    ]


def test_a_stroke_in_a_name_ends_no_cell_of_the_brief_table_either():
    head, _, row = report.brief({("A|B-v0", "loro, a|b"): {"best_return": None, "returns": np.ones((1, 2))}})
    assert "| loro, a\\|b |" in head and row.startswith("| A\\|B-v0 (reward) | 2.0 |")


def test_a_line_of_the_brief_table_holds_regrets_or_rewards_never_both():
    for bests in (5.0, None), (None, 5.0):
        made = [{"best_return": best, "returns": np.full((1, 2), 3.0)} for best in bests]
        found = report.brief({("A-v0", name): row for name, row in zip(("online", "loro"), made)})
        assert list(found)[-1] == "| A-v0 (reward) | 6.0 | 6.0 |  |"


def test_what_is_unknown_is_said_and_what_has_no_regret_left_too(tmp_path, show):
    keep(tmp_path, "loro", 0, [1.0, 2.0, 3.0], "A-v0", best=None)
    keep(tmp_path, "online", 0, [1.0, 1.0, 1.0], "A-v0", best=None)
    keep(tmp_path, "loro", 0, [9.0, 9.0, 9.98], "B-v0")
    keep(tmp_path, "online", 0, [7.0, 8.0, 9.0], "B-v0")
    keep(tmp_path, "loro", 0, [9, 9, 9], "C-v0")  # whole numbers, as JSON may hold them
    cells = rows(show(tmp_path))
    assert list(cells) == [(env, name) for env in ("A-v0", "B-v0") for name in ("loro", "online")] + [("C-v0", "loro")]
    assert cells["A-v0", "loro"] == ["1", "6.0", "", "unknown", "", "", "", ""]
    assert cells["B-v0", "loro"][3:7] == ["2.0", "2.97", "", "no regret left"]
    assert cells["C-v0", "loro"][3:7] == ["3.0", "", "", ""]


def test_how_sure_a_difference_from_online_is_goes_by_its_standard_error(tmp_path, show):
    rng = np.random.default_rng(0)
    luck, gain, other = rng.normal(5, 3, 20), rng.normal(0.5, 0.2, 20), rng.normal(2, 1, 20)
    for seed in range(20):
        keep(tmp_path, "online", seed, [luck[seed], 0.0])
        keep(tmp_path, "loro", seed, [luck[seed], gain[seed]])
        keep(tmp_path, "mix", seed, [0.0, luck[seed]])
        keep(tmp_path, "own-data", seed, [luck[seed], 0.3])  # always 0.3 more, but for rounding
    for seed, total in enumerate(other, 100):
        keep(tmp_path, "forget", seed, [0.0, total])
    for seed in range(4):
        keep(tmp_path, "clone", seed, [0.0, float(seed)])
    same_seeds = gain.mean() / (gain.std(ddof=1) / 20**0.5)
    other_seeds = (other.mean() - luck.mean()) / ((other.var(ddof=1) + luck.var(ddof=1)) / 20) ** 0.5
    expected = dict.fromkeys(["online", "loro", "mix", "own-data", "forget", "clone"], "")
    expected |= {"loro": f"{same_seeds:.1f}", "forget": f"{other_seeds:.1f}"}
    assert {name: cells[5] for (_, name), cells in rows(show(tmp_path)).items()} == expected
    assert same_seeds > 5 and other_seeds < 0  # a gain that is small beside luck, but sure


def test_the_last_thirty_are_the_last_thirty(tmp_path, show):
    keep(tmp_path, "online", 0, [90.0] * 10 + [0.0] * 15 + [2.0] * 15)
    keep(tmp_path, "loro", 0, [90.0] * 2 + [1.0] * 30, "A-v0")
    keep(tmp_path, "loro", 0, [90.0] * 2 + [1.0] * 29, "B-v0")  # then one of them is the LLM's
    assert [cells[-1] for cells in rows(show(tmp_path)).values()] == ["1.00", "", "1.00"]


@pytest.mark.parametrize("seeds", [1, 4])
def test_fewer_than_five_seeds_make_no_interval(tmp_path, show, seeds):
    for seed in range(seeds):
        keep(tmp_path, "online", seed, [float(seed)] * 3)
    assert rows(show(tmp_path))["Walk-v0", "online"][2] == "" and "(" not in show(tmp_path, "--brief").out


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_the_interval_holds_the_mean_and_stays_within_the_sample(sample):
    low, high = report.interval(np.array(sample))
    assert min(sample) - 1e-6 <= low <= np.mean(sample) + 1e-6 and np.mean(sample) - 1e-6 <= high <= max(sample) + 1e-6


@pytest.mark.parametrize(("seeds", "least", "most"), [(20, 0.90, 0.96), (5, 0.77, 0.87)])
def test_the_interval_covers_the_true_mean_as_often_as_is_known_of_so_few_seeds(seeds, least, most):
    samples = np.random.default_rng(0).normal(size=(10, seeds, 50))  # 500 studies
    low, high = np.hstack([report.interval(part) for part in samples])
    assert low.shape == (500,) and least < np.mean((low < 0) & (high > 0)) < most


def test_a_row_is_named_by_its_method_and_what_is_unusual_about_it(study, tmp_path, show):
    keep(tmp_path / "free", "loro", 0, [9.0] * 40, alpha=0)
    keep(tmp_path / "free", "own", 0, [9.0] * 40, alpha=0)
    keep(tmp_path / "other", "loro", 0, [9.0] * 40, model="N")
    keep(tmp_path / "other-free", "loro", 0, [9.0] * 40, model="N", alpha=0)
    variants = ["loro, free", "loro, N, other", "loro, N, other-free"]
    places = [study, tmp_path / "free", tmp_path / "other", tmp_path / "other-free"]
    assert names(show(*places)) == ["loro", *variants, "online", "own, free"]
    assert names(show(*places, "--methods", "own", "online", "loro")) == ["own, free", "online", "loro", *variants]
    # Neither the order of places nor what is shown of them changes a name.
    assert set(names(show(*reversed(places)))) == {"loro", *variants, "online", "own, free"}
    assert set(names(show(tmp_path))) == {"loro", *variants, "online", "own, free"}
    assert names(show(tmp_path, "--methods", "own")) == ["own, free"]


def test_of_several_models_in_one_folder_each_is_named(study, tmp_path, show):
    keep(study, "loro", 5, [9.0] * 40, model="N")
    keep(study, "mix", 5, [9.0] * 40, env="Run-v0")
    keep(tmp_path / "free", "loro", 0, [9.0] * 40, alpha=0)
    assert names(show(study, tmp_path / "free")) == ["mix", "loro, M", "loro, N", "loro, M, free", "online"]


def test_without_online_the_first_folder_given_is_the_usual_one(tmp_path, show):
    for folder in "a", "b":
        keep(tmp_path / folder, "loro", 0, [9.0] * 3)
    assert names(show(tmp_path / "a", tmp_path / "b")) == ["loro", "loro, b"]
    assert names(show(tmp_path / "b", tmp_path / "a")) == ["loro", "loro, a"]


def test_every_row_is_compared_with_the_usual_online(study, tmp_path, show):
    for seed in range(3):
        keep(tmp_path / "free", "loro", seed, [5.0] * 40)
        keep(tmp_path / "free", "online", seed, [7.5] * 40)
    cells = rows(show(study, tmp_path / "free"))
    assert cells["Walk-v0", "loro, free"][4] == "1.40" and cells["Walk-v0", "online, free"][4] == "2.80"
    assert rows(show(study, "--methods", "loro"))["Walk-v0", "loro"][4:7] == ["", "", ""]


def test_a_folder_an_environment_of_it_and_a_folder_above_it_can_be_named(study, tmp_path, show, monkeypatch):
    keep(study, "online", 0, [1.0] * 40, "Run-v0")
    whole, part = show(study).out, show(study / "Walk-v0").out
    assert show(tmp_path).out == whole and len(part.splitlines()) == 4 and "Run-v0" not in part
    monkeypatch.chdir(study)
    assert show(".").out == whole


def test_each_environment_is_compared_with_the_online_of_its_own_folder(study, tmp_path, show):
    keep(tmp_path / "later", "online", 0, [1.0] * 40, "Run-v0")
    keep(tmp_path / "later", "loro", 0, [2.0] * 40, "Run-v0")
    keep(tmp_path / "later", "loro", 0, [3.0] * 40)
    found = rows(show(tmp_path / "later", study))
    assert set(found) == {("Run-v0", "online"), ("Run-v0", "loro"), *rows(show(study)), ("Walk-v0", "loro, later")}
    assert found["Walk-v0", "loro"] == rows(show(study))["Walk-v0", "loro"]
    assert found["Run-v0", "loro"][4] == "1.12"  # (40 x 9) / (40 x 8)


def test_a_packed_study_gives_the_same_report(study, tmp_path, show):
    keep(tmp_path / "weak", "loro", 0, [0.0] * 40, model="N")
    first = show(study, tmp_path / "weak", "--pack", tmp_path / "packed" / "study.jsonl.gz")
    assert "loro, N, weak" in names(first)
    again = show(tmp_path / "packed" / "study.jsonl.gz")
    assert (again.code, again.out, again.err) == (first.code, first.out, first.err)
    show(study, "--methods", "loro", "--pack", tmp_path / "all.gz")
    assert names(show(tmp_path / "all.gz")) == ["loro", "online"]


def test_a_study_that_is_refused_is_not_packed_over_another(study, tmp_path, show):
    packed = tmp_path / "study.jsonl.gz"
    assert show(study, "--pack", packed).code == 0
    before = packed.read_bytes()
    assert refused(show(study, packed, "--pack", packed)) and packed.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study", "study.jsonl.gz"]


def test_seeds_that_some_rows_lack_are_named(study, show):
    keep(study, "mix", 1, [0.0] * 40)
    keep(study, "online", 7, [0.0] * 20 + [5.0] * 20)
    keep(study, "online", 9, [0.0] * 40, env="Run-v0")  # another environment has seeds of its own
    assert sorted(show(study).err.splitlines()) == [
        "report.py: Walk-v0 loro has no seed 7",
        "report.py: Walk-v0 mix has no seed 0, 2, 3, 4, 7",
    ]


def test_rows_of_one_folder_that_were_made_otherwise_are_named(study, show, tmp_path):
    made = {"discount": 0.9, "code": "old", "data": None, "keep": False}
    keep(study, "online", 0, [0.0] * 4, "Run-v0", **made)
    keep(study, "mix", 0, [0.0] * 4, "Run-v0", **made | {"data": "llm", "keep": True})
    made_otherwise = {"data": "llm", "discount": 0.5, "code": "new"}
    keep(study, "forget", 0, [0.0] * 4, "Run-v0", **made | made_otherwise, **{"\x1b[2J": 1})
    keep(study, "llm", 0, [0.0] * 4, "Run-v0", **made | {"episodes": "aaaa", "\x1b[2J": 2})
    keep(study, "loro", 0, [0.0] * 4, "Run-v0", **made | {"episodes": "bbbb"})
    keep(tmp_path / "other", "online", 0, [0.0] * 4, "Run-v0", **made | {"discount": 0.5})  # by intention, so elsewhere
    assert show(study, tmp_path / "other").err.splitlines() == [
        "report.py: Run-v0 forget has another discount than online beside it",
        "report.py: Run-v0 forget has another code than online beside it",
        "report.py: Run-v0 llm has another  [2J than forget beside it",
        "report.py: Run-v0 loro has another episodes than llm beside it",
    ]
    assert {*loro.Method._fields} == report.OF_METHODS


def test_a_name_from_outside_neither_steers_the_terminal_nor_breaks_the_table(study, show):
    keep(study, "loro", 1, [9.0] * 40, env="Run-v0")
    keep(study, "loro-plus", 0, [9.0] * 40, env="Run-v0", model="\x1b[2J a|b\n")
    done = show(study)
    assert done.out.replace("\n", "").isprintable() and done.err.replace("\n", "").isprintable()
    assert all(line.replace("\\|", "").count("|") == 11 for line in done.out.splitlines())
    assert "| loro-plus,  [2J a\\|b  |" in done.out and "Run-v0 loro-plus,  [2J a|b" in done.err


@pytest.mark.parametrize("field", ["env", "method", "model", "folder"])
def test_no_field_of_a_packed_study_steers_the_terminal(study, show, tmp_path, field):
    results = [run | {field: f"{run[field]}\x1b[2J"} for run in files.read_results(study)]
    packed = tmp_path / ("\x1b[2J.gz" if field == "folder" else "study.gz")  # whose name is the folder's
    files.pack(results[:-1], packed)
    for style in [], ["--brief"]:
        done = show(study, packed, *style)
        assert done.code == 0 and (done.out + done.err).replace("\n", "").isprintable()
        assert " [2J" in done.out


def twice(study):
    return [study, study]


def unlike(study):
    keep(study, "loro", 3, [9.0] * 40, epsilon=0.5, data="own")
    return [study]


def of_another_best(study):
    keep(study, "loro", 5, [9.0] * 40, best=12.0)
    return [study]


def longer(study):
    keep(study, "mix", 0, [9.0] * 50)
    return [study]


def no_number(study):
    path = study / "Walk-v0" / "loro-0.json"
    path.write_text(path.read_text().replace("9.0", "NaN"))
    return [study]


def cut(study):
    packed = study.parent / "study.jsonl.gz"
    files.pack(files.read_results(study), packed)
    packed.write_bytes(packed.read_bytes()[:-9])
    return [packed]


def empty(study):
    (study.parent / "empty").mkdir()
    return [study.parent / "empty"]


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        (lambda study: [], ["places", "--help"]),
        (lambda study: [study, "--overview"], ["--overview"]),
        (lambda study: [study, "--methods", "loro", "magic"], ["results of loro, online alone"]),
        (lambda study: [study / "nowhere"], ["there is no ", "nowhere"]),
        (empty, ["empty holds no results; of a packed study give the file"]),
        (twice, ["Walk-v0, loro: seeds 0 and 0 differ in nothing; give each run once"]),
        (of_another_best, ["Walk-v0, loro: seeds 4 and 5 differ in best_return; "]),
        (unlike, ["Walk-v0, loro: seeds 2 and 3 differ in epsilon, data; ", "folders of unlike names"]),
        (longer, ["Walk-v0, mix: 50 evaluations cannot be compared with 40", "give --first 40"]),
        (lambda study: [*longer(study), "--methods", "mix", "loro"], ["40 evaluations cannot be compared with 50"]),
        (no_number, ["loro-0.json is not a whole result"]),
        (cut, ["study.jsonl.gz is not a packed study"]),
        (lambda study: [study, "--pack", study], ["study"]),
        (lambda study: [study, "--pack", study / "packed.json"], ["packed.json' is no .gz"]),
    ],
)
def test_what_it_refuses_it_refuses_in_one_line(study, show, arguments, problems):
    assert refused(show(*arguments(study)), *problems)


def test_runs_that_are_not_shown_are_not_refused(study, show):
    assert names(show(*longer(study), "--methods", "online")) == ["online"]
    assert names(show(*unlike(study), "--methods", "online")) == ["online"]


def grouped(folder, *first):
    results = files.read_results(folder)
    return report.group(results, sorted({result["method"] for result in results}), *first)


def drawn(folder, *first):
    pytest.importorskip("matplotlib")
    return report.draw(grouped(folder, *first))


def lines(panel):
    return {line.get_label(): line for line in panel.get_lines()}


def test_the_figure_shows_a_panel_an_environment_and_in_it_every_row(study):
    keep(study, "loro", 0, [1.0] * 40, best=None, env="Run-v0")
    keep(study, "online", 0, [-1.0] * 40, best=0.0, env="Zero-v0")
    run, walk, zero = drawn(study).axes
    assert run.get_title() == "Run-v0" and list(lines(run)) == ["loro", "M's mean"]
    drew = {"loro", "M's mean", "online", "best attainable mean"}
    assert walk.get_title() == "Walk-v0" and set(lines(walk)) == drew
    assert run.get_xlabel() == "evaluation" and run.get_ylabel() == "return"
    assert lines(run)["loro"].get_color() == lines(walk)["loro"].get_color()
    references = [lines(walk)[label] for label in ("M's mean", "best attainable mean")]
    assert [set(line.get_ydata()) for line in references] == [{8.0}, {10.0}]
    assert all(line.zorder < lines(walk)["loro"].zorder for line in references)  # they hide no row
    assert list(lines(zero)) == ["online", "best attainable mean"] and not zero.patches
    (span,) = [patch for patch in walk.patches if patch.get_label() == "the LLM's episodes, where it plays"]
    assert (span.get_x(), span.get_width()) == (0.5, 2.0)


def test_a_point_of_the_figure_is_the_mean_of_so_many_evaluations_that_there_are_about_thirty(tmp_path):
    for seed in range(5):
        keep(tmp_path, "online", seed, [float(i + seed) for i in range(62)])
    panel = drawn(tmp_path).axes[0]
    points = lines(panel)["online"].get_xydata()
    assert len(points) == 21
    np.testing.assert_allclose(points[[0, 1, -1]], [[2, 3], [5, 6], [61.5, 62.5]])  # the last of two alone
    low, high = (side(panel.collections[0].get_paths()[0].vertices[:, 1]) for side in (min, max))
    assert (low, high) == (1.8, 63.7)  # as in the table: from 4/5 above the least to 4/5 below the greatest


def test_of_runs_of_unlike_lengths_the_first_evaluations_are_compared(study, show, tmp_path):
    keep(study, "mix", 0, [9.0] * 50)
    done = show(study, "--first", 30, "--pack", tmp_path / "all.gz")
    totals = {name: row[1] for (_, name), row in rows(done).items()}
    assert totals == {"online": "60.0", "loro": "282.0", "mix": "270.0"}
    assert {len(run["returns"]) for run in files.read_results(tmp_path / "all.gz")} == {40, 50}  # whole all the same
    assert refused(show(study, "--first", 45), "45 evaluations cannot be compared with 40", "give --first 40")
    keep(study, "random", 0, [9.0] * 30)
    keep(study, "online", 0, [9.0] * 20, env="Another-v0")
    assert refused(show(study), "give --first 30, or")


def test_the_figure_can_show_the_first_evaluations_alone(tmp_path, show):
    keep(tmp_path / "study", "loro", 0, [float(i) for i in range(40)])
    panel = drawn(tmp_path / "study", 20).axes[0]
    np.testing.assert_allclose(lines(panel)["loro"].get_xydata(), [[i, i - 1] for i in range(1, 21)])
    assert panel.get_xlim() == (0.5, 20.5)
    for first in 20, 1:  # the LLM's mean is that of all its episodes
        assert set(lines(drawn(tmp_path / "study", first).axes[0])["M's mean"].get_ydata()) == {0.5}
    pictures = tmp_path / "all.svg", tmp_path / "first.svg"
    for picture, options in zip(pictures, ([], ["--first", 20])):
        assert show(tmp_path / "study", "--figure", picture, *options).code == 0
    assert pictures[0].read_text() != pictures[1].read_text()


def test_a_bad_start_does_not_flatten_the_rest_and_nothing_else_is_cut_off(tmp_path):
    for seed in range(5):
        keep(tmp_path, "online", seed, [-20_000.0] * 5 + [0.0] * 20 + [9.0 + seed] * 175)
    shown = drawn(tmp_path).axes[0].get_ylim()
    np.testing.assert_allclose(shown, [-0.61, 12.81])  # from 0 to where the interval ends, and a twentieth more
    keep(tmp_path / "peak", "online", 0, [0.0] * 99 + [100.0] + [0.0] * 100, best=None)
    assert drawn(tmp_path / "peak").axes[0].get_ylim()[1] > 14  # a seventh of 100, the mean of its point
    keep(tmp_path / "still", "online", 0, [10.0] * 20)
    assert drawn(tmp_path / "still").axes[0].get_ylim() == (9.0, 11.0)


def test_each_teacher_has_its_own_dotted_line(study, tmp_path):
    keep(tmp_path / "other", "loro", 0, [2.0, 4.0] + [9.0] * 38, model="N")
    keep(tmp_path / "free", "loro", 0, [6.0, 6.0] + [9.0] * 38, alpha=0)
    means = {name: line for name, line in lines(drawn(tmp_path).axes[0]).items() if name.endswith("'s mean")}
    assert {name: line.get_ydata()[0] for name, line in means.items()} == {"M's mean": 8.0, "N's mean": 3.0}
    assert len({line.get_color() for line in means.values()}) == 2
    assert {line.get_linestyle() for line in means.values()} == {":"}


def test_twenty_rows_look_different(tmp_path):
    for i in range(20):
        keep(tmp_path, f"method-{i:02}", 0, [1.0] * 5, best=None)
    looks = {(line.get_color(), str(line._dash_pattern)) for line in drawn(tmp_path).axes[0].get_lines()}
    assert len(looks) == 20


@pytest.mark.parametrize("panels", [1, 2, 6])
def test_the_legend_is_inside_the_figure_and_below_the_panels(tmp_path, panels):
    model, other = "Qwen2.5-7B-Instruct", "qwen2.5-7b-no-trust"
    for i in range(panels):
        keep(tmp_path / "main", "online", 0, [1.0] * 5, f"Walk-v{i}")
        keep(tmp_path / "main", "loro-plus", 0, [1.0] * 5, f"Walk-v{i}")
        keep(tmp_path / other, "loro-plus", 0, [1.0] * 5, f"Walk-v{i}", model=model)
    figure = drawn(tmp_path)
    figure.draw_without_rendering()
    box, page = figure.legends[0].get_window_extent(), figure.bbox
    assert page.width / figure.dpi == 4 * min(panels, 3)  # inches
    assert page.x0 <= box.x0 < box.x1 <= page.x1 and page.y0 <= box.y0
    assert box.y1 <= min(panel.get_tightbbox().y0 for panel in figure.axes)
    assert min(panel.bbox.height / figure.dpi for panel in figure.axes) > 1.5
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(labels) == len(set(labels)) == 7 and "online" in labels[:3] and f"loro-plus, {model}, {other}" in labels


def test_dollars_are_drawn_and_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path, show, monkeypatch):
    pytest.importorskip("matplotlib")
    keep(tmp_path / "results", "loro", 0, [1.0] * 5, model="a$b_{$|x")
    path = tmp_path / "figure.png"
    assert show(tmp_path / "results", "--figure", path).code == 0 and path.read_bytes().startswith(b"\x89PNG")
    path.write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert show(tmp_path / "results", "--figure", path).code == 2 and path.read_bytes() == b"old"


@pytest.mark.parametrize("odd", ["\x1b]0;x\x07\0", "caf\udce9"])
def test_no_text_from_outside_steers_a_terminal_from_a_figure_or_keeps_it_from_being_drawn(tmp_path, show, odd):
    pytest.importorskip("matplotlib")
    folder = tmp_path / f"results{odd.replace(chr(0), '')}"
    keep(folder / "main", "online", 0, [1.0] * 5)
    keep(folder / "main", "loro", 0, [1.0] * 5, model=f"a {odd}")
    keep(folder / f"other{odd.replace(chr(0), '')}", "loro", 0, [1.0] * 5)
    done = show(folder, "--figure", tmp_path / "figure.svg")
    assert done.code == 0 and (done.out + done.err).replace("\n", "").isprintable()
    minidom.parse(str(tmp_path / "figure.svg"))


def test_no_tex_is_asked_for(study, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    env = {**os.environ, "MPLCONFIGDIR": str(tmp_path), "PATH": ""}
    process = python(ROOT / "report.py", study, "--figure", tmp_path / "a.svg", env=env)
    assert process.communicate()[1] == "" and (tmp_path / "a.svg").is_file()


def test_without_matplotlib_it_says_what_to_install(study, tmp_path, show, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # so that it is not found
    done = show(study, "--figure", tmp_path / "figure.png")
    assert done.code == 2 and done.out == "" and "it needs matplotlib; pip install" in done.err


@pytest.mark.parametrize(
    ("figure", "problem"), [("figure.xyz", "is no .png or .svg or .pdf"), ("/dev/null/figure.png", "/dev/null")]
)
def test_a_figure_that_cannot_be_written_is_refused_at_once(study, tmp_path, show, figure, problem):
    done = show(study, "--figure", tmp_path / figure)
    assert done.code == 2 and done.out == "" and problem in done.err and done.err.count("\n") == 1


def test_what_the_shell_sees(study, tmp_path):
    command = shlex.join([sys.executable, str(ROOT / "report.py")])
    options = {"shell": True, "executable": "/bin/bash", "capture_output": True, "text": True, "timeout": 120}
    done = subprocess.run(f'{command} {study} | head -1; exit "${{PIPESTATUS[0]}}"', **options)
    assert done.returncode in (0, 141) and done.stdout.count("\n") == 1 and done.stderr == ""
    done = subprocess.run(f"{command} {tmp_path / 'nowhere'}", **options)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("report.py: there is no ")


def test_a_reader_that_has_seen_enough_does_not_keep_the_figure_from_being_drawn(study, tmp_path, show, monkeypatch):
    pytest.importorskip("matplotlib")

    class Head(io.TextIOWrapper):
        def write(self, text):
            if text and self.tell():
                raise BrokenPipeError
            return super().write(text)

    monkeypatch.setattr(sys, "stdout", Head(io.BytesIO(), write_through=True))
    show(study, "--figure", tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_backend_that_there_is_not_is_not_asked_for(study, tmp_path):
    pytest.importorskip("matplotlib")
    process = python(ROOT / "report.py", study, "--figure", tmp_path / "a.svg", env={**os.environ, "MPLBACKEND": "no"})
    assert process.communicate()[1] == "" and (tmp_path / "a.svg").is_file()


def test_ctrl_c_while_it_starts_leaves_no_traceback(tmp_path):
    (tmp_path / "numpy.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(100)\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, ROOT / "report.py", tmp_path]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=120) == ("", "") and process.returncode == -signal.SIGINT
