"""The terminal: one golden table, one golden map, the status line, and how a command ends."""

import argparse
import importlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from helpers import ROOT, environment, python
from hypothesis import given
from hypothesis import strategies as st

import loro
import terminal
from agents.tabular import QTable
from files import UserError
from llm_client import Asking

LAKE, CLIFF = environment("FrozenLake-v1"), environment("CliffWalking-v1")


def visible(lines):
    return "\n".join(lines)


# The table


def test_the_table():
    returns = {"online": np.array([[0.0, 2, 4, 6], [2, 4, 6, 8]]), "loro-plus": np.array([[8.0, 8, 9, 10]])}
    assert visible(terminal.table(returns, 10.0)) == visible(
        [
            "method    cumulative reward       mean      regret   ≤2.4 to 10",
            "online                 16.0       4.00        24.0   ▁▂▃▅",
            "loro-plus              35.0       8.75         5.0   ▆▆▇█",
        ]
    )


def test_the_scale_of_the_curves_ends_at_the_best_that_was_reached():
    assert terminal.table({"loro": np.array([[0.0, 8.0]])}, 10.0)[0].endswith("to 8")


def test_a_little_more_than_the_best_is_no_regret():
    assert terminal.table({"loro": np.array([[10.01, 10.02]])}, 10.0)[1].split()[3] == "0.0"


def test_a_best_return_that_is_unknown_leaves_regret_unknown():
    assert visible(terminal.table({"loro": np.array([[-1234.5, -1000]])}, None)) == visible(
        [
            "method cumulative reward       mean      regret   ≤-1,211 to -1,000",
            "loro            -2,234.5  -1,117.25     unknown   ▁█",
        ]
    )


@pytest.mark.parametrize("names", [[*loro.METHODS], ["loro"], ["a-method-with-a-very-long-name", "b"]], ids=len)
@pytest.mark.parametrize("low", [0.0, -200.0, -20_000.0])
@pytest.mark.parametrize("evaluations", [1, 300])
def test_columns_are_aligned_and_fit_a_terminal_of_80(names, low, evaluations):
    rng = np.random.default_rng(0)
    returns = {name: rng.uniform(low, low / 2 + 1, (3, evaluations)) for name in names}
    head, *rows = terminal.table(returns, 0.0)
    end = head.index(" regret") + len(" regret")
    assert all(row[end - 1].isdigit() and not row[end:].strip(f" {terminal.BARS}") for row in rows)
    assert all(row[len(row.rstrip(terminal.BARS)) :] for row in rows) and len({len(row) for row in rows}) == 1
    assert [row.split()[0] for row in rows] == names
    assert max(map(len, [head, *rows])) <= 80 or max(map(len, names)) > 11


@pytest.mark.parametrize("columns", [20, 50, 100])
def test_a_table_is_as_wide_as_its_terminal_or_as_it_must_be(columns):
    _, row = terminal.table({"loro": np.arange(300.0)[None]}, 300.0, columns)
    assert row[-1] in terminal.BARS and len(row) == max(columns, len(row.rstrip(terminal.BARS)) + 1)


def test_a_bad_start_does_not_flatten_the_curves():
    bars = terminal.table({"online": np.array([[-20_000.0, *[-200.0] * 19, *[-13.0] * 20]])}, -13.0)[1].split()[-1]
    assert bars[0] == bars[1] == "▁" and bars[-1] == "█"


def test_a_lucky_episode_does_not_flatten_the_curves():
    returns = np.array([[-1.0, *[-200.0] * 19, *[-150.0] * 20]])
    head, line = terminal.table({"loro": returns}, -137.0)
    assert head.endswith("   -200 to ≥-150") and line.split()[-1][-1] == "█" and line.split()[-1][5] == "▁"


def test_where_nearly_all_returns_are_equal_the_scale_holds_the_others():
    head, line = terminal.table({"online": np.array([[20.0, 110.0, *[200.0] * 28]])}, 200.0)
    assert head.endswith("20 to 200") and line.split()[-1] == "▁▅" + "█" * 28


def test_what_is_always_the_same_is_at_the_top_only_if_nothing_is_better():
    for value, best, bar in (0.0, 0.7, "▁"), (0.7, 0.7, "█"), (0.8, 0.7, "█"), (0.0, None, "█"):
        assert set(terminal.table({"llm": np.full((1, 40), value)}, best)[1].split()[-1]) == {bar}


# Curves


def test_a_curve_rises_with_the_returns():
    assert terminal.curve(np.arange(8.0), 0, 7, 80) == "▁▂▃▄▅▆▇█"
    assert terminal.curve(np.arange(8.0)[::-1], 0, 7, 80) == "█▇▆▅▄▃▂▁"


def test_a_bar_is_the_mean_of_its_share():
    assert terminal.curve(np.array([0.0, 0, 0, 7, 7, 7, 7, 7]), 0, 7, 4) == "▁▅██"  # 3.5 is nearest to an even four


def test_a_scale_of_tens_of_thousands_is_written_out():
    head, _ = terminal.table({"loro": np.array([[-20000.0, -20000.0, -13.0]])}, -13.0)
    assert head.endswith("-20,000 to -13")


def test_what_is_off_the_scale_is_at_its_end():
    assert terminal.curve(np.array([-100.0, 0, 7, 100]), 0, 7, 80) == "▁▁██"


def test_a_flat_curve_is_at_the_top_and_what_is_below_it_lower():
    assert terminal.curve(np.full(9, 3.0), 3.0, 3.0, 80) == "█" * 9
    assert terminal.curve(np.array([3.0, -200.0, 3.0]), 3.0, 3.0, 80) == "█▁█"


@given(st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=30), st.integers(1, 40))
def test_a_curve_has_a_bar_for_each_evaluation_or_fills_its_width(returns, width):
    bars = terminal.curve(np.array(returns), min(returns), max(returns), width)
    assert len(bars) == min(width, len(returns)) and set(bars) <= set(terminal.BARS)


# Maps


def agent(environment, action):
    """A learner, once updated, that takes action(state) in each state of a grid world."""
    n = len("".join(environment.grid))
    made = QTable(n, 4, 1.0, loro.Settings(1), np.random.default_rng(0))
    made.q[np.arange(n), [action(state) for state in range(n)]], made.updates = 1.0, 1
    return made


def test_the_map():
    assert visible(terminal.arrows(LAKE, agent(LAKE, lambda state: state % 4))) == visible(
        [
            "← ↓ → ↑",
            "← H → H",
            "← ↓ → H",
            "H ↓ → G",
        ]
    )


def test_an_arrow_is_what_the_environment_calls_its_action():
    lines = terminal.arrows(CLIFF, agent(CLIFF, lambda state: state % 4))
    assert lines == ["↑ → ↓ ← ↑ → ↓ ← ↑ → ↓ ←"] * 3 + ["↑ C C C C C C C C C C G"]


def test_an_action_without_an_arrow_is_the_first_letter_of_its_word():
    lake = LAKE._replace(actions=("west", "south", "east", "up the hill"))
    assert terminal.arrows(lake, agent(lake, lambda state: state % 4))[0] == "w s e u"


# What is shown in the end


def result(method, seed=0, returns=(1.0, 1.0), trust=None, model=None):
    return {"method": method, "seed": seed, "returns": list(returns), "trust": trust, "model": model}


@pytest.fixture
def shown(monkeypatch, capsys):
    """What is printed of these results, on a terminal of 80 columns or so many."""

    def show(environment, results, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        terminal.show(environment, results, "results/E")
        return capsys.readouterr().out

    return show


LEFT, RIGHT = agent(LAKE, lambda state: 0), agent(LAKE, lambda state: 2)


def test_maps_stand_side_by_side(shown):
    results = [(result("loro", 3), LEFT), (result("loro", 4), RIGHT), (result("online", 3), RIGHT)]
    assert shown(LAKE, results).split("\n\n")[1] == visible(
        [
            "the greedy policy of",
            "loro, seed 3     online, seed 3",
            "← ← ← ←          → → → →",
            "← H ← H          → H → H",
            "← ← ← H          → → → H",
            "H ← ← G          H → → G",
        ]
    )


def test_maps_that_do_not_fit_side_by_side_stand_one_below_another(shown):
    results = [(result(name), LEFT) for name in loro.METHODS]
    for columns in (60, 80):
        lines = shown(LAKE, results, columns).partition("policy of\n")[2].splitlines()
        assert max(map(len, lines)) <= columns and len(lines) > 2 * 5
        assert sum("seed 0" in line for line in lines) < sum(line.count("seed 0") for line in lines) == len(results)


def test_what_has_learnt_nothing_or_is_not_at_hand_has_no_map(shown):
    untrained = agent(LAKE, lambda state: 0)
    untrained.updates = 0
    assert "policy" not in shown(LAKE, [(result("llm"), untrained), (result("loro"), None)])
    assert "policy" not in shown(environment("CartPole-v1"), [(result("loro"), LEFT)])


def test_a_row_of_the_table_is_the_mean_over_its_seeds(shown):
    results = [(result("loro", 0, [0.0, 2.0]), None), (result("loro", 1, [2.0, 4.0]), None)]
    returns = {"loro": np.array([[0.0, 2], [2, 4]])}
    *lines, empty, where = shown(LAKE, results).splitlines()
    assert lines == terminal.table(returns, LAKE.best_return)
    assert (empty, where) == ("", "Each run is kept in results/E.")


def test_trust_is_shown_at_first_and_at_the_end(shown):
    trusts = [0.5, 0.9, 0.0], [1.0, 0.9, 0.5]
    results = [(result("loro-plus", seed, trust=trust), None) for seed, trust in enumerate(trusts)]
    results.append((result("online"), None))
    line = shown(LAKE, results).splitlines()[-3]
    assert line == "loro-plus trusted its clone: 0.75 at first, 0.25 at the end"


def test_a_teacher_that_was_never_trusted_is_spoken_of_in_a_line_that_fits_the_terminal(shown):
    def lines(*trusts):
        results = [(result("loro-plus", seed, trust=[trust, 0.0]), None) for seed, trust in enumerate(trusts)]
        results += [(each | {"method": "clone-first"}, agent) for each, agent in results]
        return shown(LAKE, results).splitlines()[:-2]

    *_, said, other, why = lines(0.0, 0.0)
    assert said == "loro-plus trusted its clone: 0.00 at first, 0.00 at the end"
    assert other == "clone-first trusted its clone: 0.00 at first, 0.00 at the end"
    assert "does not beat random play" in why and len(why) < 80
    assert lines(1.0, 0.0)[-1] == "clone-first trusted its clone: 0.50 at first, 0.00 at the end"


@pytest.mark.parametrize(("given", "asked"), [([], 2048), (["--max-tokens", "64"], 64)])
def test_reasoning_takes_the_tokens_that_are_given(given, asked):
    line = ["--env", "FrozenLake-v1", "--base-url", "http://localhost/v1", "--model", "small", "--reasoning", *given]
    assert terminal.parse(loro.METHODS, loro.Settings, Asking, line)[2]["max_tokens"] == asked


class Percents(NamedTuple):
    share: float = 0.5  # of all, 100% at most


def test_a_comment_may_hold_a_percent_sign():
    parser = terminal.Parser()
    terminal.add_fields(parser, "shares", Percents)
    assert "of all, 100% at most (0.5)" in parser.format_help()


def test_a_method_that_is_named_twice_is_run_once():
    arguments = ["--env", "E", "--method", "llm", "random", "llm"]
    assert terminal.parse(loro.METHODS, loro.Settings, loro.Asking, arguments)[0].method == ["llm", "random"]


# What others wrote


@pytest.mark.parametrize("hidden", ["\n", "\r", "\t", "\x1b[2J", "\x07", "\x9b", "\x7f", "\u202e", "\u2028", "\x00"])
def test_what_steers_a_terminal_is_not_printed(hidden):
    shown = terminal.printable(f"a{hidden}b")
    assert shown.isprintable() and shown[0] == "a" and shown[-1] == "b"


@given(st.text())
def test_what_is_printed_is_one_line_and_as_long_as_the_text(text):
    assert len(terminal.printable(text)) == len(text) and len(terminal.printable(text).splitlines()) <= 1


def test_letters_signs_and_spaces_are_printed():
    assert terminal.printable("Ünïcödé → 模型 😀") == "Ünïcödé → 模型 😀"


# The status line


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_the_status_line_replaces_itself_and_fits_the_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    monkeypatch.setenv("COLUMNS", "20")
    for text in ("short", "x" * 100, "two\nlines\x1b[2J", ""):
        terminal.status(text)
    lines = ["short", "x" * 19, "two lines [2J", ""]
    assert screen.getvalue() == "".join(f"\r\x1b[K\x1b[?7l{line}\x1b[?7h" for line in lines)  # no letter wraps


def test_without_a_terminal_only_the_log_is_written(capsys):
    terminal.status("evaluation 3 of 9")
    terminal.status("a run", "is done\n", log=True)
    assert capsys.readouterr().err == "a run is done \n"


# How a command ends


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (UserError("give\nmore \x1b[31m"), 2, "x.py: give more  [31m\n"),
        (FileNotFoundError(2, "No such file", "a"), 2, "x.py: [Errno 2] No such file: 'a'\n"),
        (MemoryError(), 2, "x.py: MemoryError\n"),
        (KeyboardInterrupt(), 130, "x.py: stopped; what is finished is kept\n"),
        (BrokenPipeError(32, "Broken pipe"), 2, "x.py: [Errno 32] Broken pipe\n"),  # such as one to a simulator
    ],
)
def test_a_command_ends_with_a_line_and_a_code(monkeypatch, capsys, problem, code, said):
    def fail():
        print("before")
        raise problem

    monkeypatch.setattr("os._exit", sys.exit)
    monkeypatch.setattr("os.kill", lambda pid, its: signal.signal(its, signal.default_int_handler))  # as Ctrl-C's end
    with pytest.raises(SystemExit) as ended:
        terminal.guard(fail, "x.py")
    assert ended.value.code == code and capsys.readouterr() == ("before\n", said)


@pytest.mark.parametrize("flush", [False, True])
def test_it_ends_though_nobody_hears_its_last_word(monkeypatch, flush):
    class Gone(io.StringIO):
        def write(self, text):
            if not flush:
                raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr("os._exit", sys.exit)
    monkeypatch.setattr("os.kill", lambda pid, its: signal.signal(its, signal.default_int_handler))
    monkeypatch.setattr(sys, "stderr", Gone())
    with pytest.raises(SystemExit) as ended:
        terminal.guard(stop, "x.py")
    assert ended.value.code == 130


def test_what_no_memory_holds_is_said_in_a_line(monkeypatch, capsys):
    monkeypatch.setattr("os._exit", sys.exit)
    with pytest.raises(SystemExit) as ended:
        terminal.guard(lambda: np.random.default_rng(0).random(10**14), "x.py")
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.startswith("x.py: Unable to allocate 728. TiB") and said.count("\n") == 1


def test_the_status_line_gives_way_to_the_last_word(monkeypatch):
    def fail():
        terminal.status("evaluation 3 of 9")
        raise UserError("no")

    monkeypatch.setattr("os._exit", sys.exit)
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with pytest.raises(SystemExit):
        terminal.guard(fail, "x.py")
    assert screen.getvalue() == "\r\x1b[K\x1b[?7levaluation 3 of 9\x1b[?7h\r\x1b[K\x1b[?7l\x1b[?7hx.py: no\n"


def test_a_command_that_ends_well_says_nothing_more(capsys):
    terminal.guard(lambda: print("all"), "x.py")
    assert capsys.readouterr() == ("all\n", "")


@pytest.mark.parametrize(
    "fault", [lambda: 1 / 0, lambda: int("one"), lambda: np.zeros(2) + np.zeros(3), lambda: np.stack([[1], [2, 3]])]
)
def test_a_fault_keeps_its_traceback(monkeypatch, capsys, fault):
    monkeypatch.setattr("os._exit", sys.exit)
    with pytest.raises(SystemExit) as ended:
        terminal.guard(fault, "x.py")
    said = capsys.readouterr().err
    assert ended.value.code == 1 and "Traceback" in said and Path(__file__).name in said and "Error: " in said


@pytest.mark.parametrize(("fault", "code"), [("ValueError('no')", 1), ("OSError", 2), ("MemoryError", 2)])
@pytest.mark.parametrize("when", ["imported", "called"])
def test_a_fault_in_ones_own_module_keeps_its_traceback_unless_it_is_expected(
    monkeypatch, capsys, tmp_path, fault, code, when
):
    indent = "" if when == "imported" else "def play():\n    "
    (tmp_path / "my_fault.py").write_text(f"{indent}raise {fault}\n")

    def main():
        importlib.import_module("my_fault").play()

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_fault", raising=False)  # that of another such test
    monkeypatch.setattr("os._exit", sys.exit)
    with pytest.raises(SystemExit) as ended:
        terminal.guard(main, "x.py")
    said = capsys.readouterr().err
    assert ended.value.code == code and (f"{tmp_path}/my_fault.py" in said) == ("Traceback" in said) == (code == 1)


def guarded(code, **options):
    """A process that runs `code` guarded."""
    program = f"import sys, threading, terminal\n\ndef main():\n    {code}\n\nterminal.guard(main, 'x.py')\n"
    return python("-c", program, cwd=ROOT, **options)


@pytest.mark.parametrize(("problem", "code", "said"), [
    ("terminal.json_object(b'no')", 2, "x.py: not JSON in UTF-8\n"),
    ("1 / 0", 1, "ZeroDivisionError: division by zero\n\n"),
])  # fmt: skip
def test_threads_that_wait_do_not_keep_a_command_that_failed(problem, code, said):
    process = guarded(f"threading.Thread(target=threading.Event().wait).start(); {problem}")
    out, err = process.communicate()
    assert (out, process.returncode) == ("", code) and err.endswith(said)


def test_what_was_printed_before_a_refusal_is_heard():
    process = guarded("print('line'); raise MemoryError")
    assert process.communicate() == ("line\n", "x.py: MemoryError\n") and process.returncode == 2


def test_a_second_ctrl_c_ends_a_command_at_once():
    interrupt = "os.kill(os.getpid(), 2)"
    process = guarded(f"import os\n    try:\n        {interrupt}\n    finally:\n        {interrupt}")
    assert process.communicate() == ("", "") and process.returncode == -signal.SIGINT


@pytest.mark.parametrize("what", ["print('line')", "print('line' * 99999)"], ids=["buffered", "at once"])
def test_who_has_seen_enough_hears_no_complaint(what):
    process = guarded(what)
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait() == 141


def test_what_is_refused_is_said_though_nobody_reads_what_came_before():
    process = guarded("print('line'); sys.stdin.read(); raise FileNotFoundError(2, 'None', 'a')", stdin=subprocess.PIPE)
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == "x.py: [Errno 2] None: 'a'\n" and process.wait() == 2


@pytest.mark.parametrize("code", [0, 2])
def test_streams_that_are_closed_are_done_without(code, tmp_path):
    after = "raise terminal.UserError('no')" if code else "pass"
    program = f"import terminal\ndef main():\n    terminal.status('a'); print('b'); open('c', 'w'); {after}\n"
    (tmp_path / "closed.py").write_text(f"{program}terminal.guard(main, 'x.py')\n")
    call = f"cd {tmp_path} && PYTHONPATH={ROOT} exec {sys.executable} closed.py >&- 2>&-"
    assert subprocess.run(["bash", "-c", call], timeout=60).returncode == code and (tmp_path / "c").exists()


@pytest.mark.parametrize("kind", [float, np.float64])
def test_a_number_is_rounded_like_any_other(kind):
    assert terminal.rounded(kind(108.65000000000001)) == "108.7" and terminal.rounded(kind(-0.04)) == "0.0"
    assert terminal.rounded(kind(-0.4), 0) == "0" and terminal.rounded(kind(1234.5678), 2) == "1,234.57"


def test_a_terminal_without_arrows_shows_something_else():
    process = guarded("print('a ← b')", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert process.communicate() == ("a ? b\n", "") and process.returncode == 0


def test_one_space_before_a_comment_will_do(own_module, tmp_path, monkeypatch):
    own_module("import typing\nclass Few(typing.NamedTuple):\n    rate: float = 0.5 # how fast\n    n: int = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert terminal.comments(importlib.import_module("my_games").Few) == {"rate": "how fast"}


def test_only_a_figure_needs_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # so that it is not found
    assert terminal.writable(".gif")(str(tmp_path / "a.gif")) == tmp_path / "a.gif"
    with pytest.raises(argparse.ArgumentTypeError, match="it needs matplotlib"):
        terminal.writable(*terminal.FIGURES)(str(tmp_path / "a.png"))
