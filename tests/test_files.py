"""Files: whole or not at all; results, what they must hold, and what is refused; code by what it does."""

import errno
import gzip
import importlib.util
import json
import linecache
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import files
from files import UserError

HOUR = 3600


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# Whole or not at all


def test_a_file_is_written_in_a_new_folder_and_replaced_as_a_whole(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    for data in (b"a longer text", b"text", b""):
        files.write_whole({path: data})
        assert path.read_bytes() == data and names(path.parent) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("problem", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, problem):
    def fail(*_):
        raise problem

    path = tmp_path / "file"
    path.write_bytes(b"before")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(problem)) as failure:
        files.write_whole({path: b"after"})
    assert path.read_bytes() == b"before" and names(tmp_path) == ["file"]
    assert isinstance(problem, KeyboardInterrupt) or str(path) in str(failure.value)


def test_a_file_is_on_the_disk_before_it_takes_the_old_ones_place(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(os, "fsync", lambda file: order.append(os.fstat(file).st_size))  # what has left Python
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: order.append("replace") or replace(*paths))
    files.write_whole({tmp_path / "file": b"text"})
    assert order == [4, "replace"]


@pytest.mark.parametrize("odd", [os.mkfifo, Path.mkdir])
def test_what_is_no_file_is_not_replaced_by_one(tmp_path, odd):  # such as /dev/null
    odd(tmp_path / "odd")
    before = (tmp_path / "odd").stat()
    with pytest.raises(OSError, match="no file; give another"):
        files.write_whole({tmp_path / "odd": b"text"})
    assert (tmp_path / "odd").stat() == before and names(tmp_path) == ["odd"]


def test_a_link_to_a_file_stays_one(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "file")
    files.write_whole({tmp_path / "link": b"text"})
    assert (tmp_path / "link").is_symlink() and (tmp_path / "far" / "file").read_bytes() == b"text"
    assert names(tmp_path / "far") == ["file"]


def test_two_who_write_at_once_have_drafts_of_their_own(tmp_path, calls):
    replacing = calls(os, "replace")
    for _ in range(2):
        files.write_whole({tmp_path / "file": b"text"})
    assert len({draft for draft, _ in replacing}) == 2


# Better before the work than after


def test_a_file_that_can_be_written_is_not_touched(tmp_path):
    path = tmp_path / "new" / "file"
    files.check_writable(path)
    assert names(path.parent) == []
    path.write_bytes(b"kept")
    files.check_writable(path)
    assert path.read_bytes() == b"kept" and names(path.parent) == ["file"]


ODD = [".", "file/below", "file/below/it", "x" * 256, "/proc/none", "/proc/none/file", "/dev/null"]


@pytest.mark.parametrize("name", ODD)
def test_a_file_that_cannot_be_written_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"folder|exists|directory|long|No such file|no file"):
        files.check_writable(tmp_path / name)
    assert names(tmp_path) == ["file"]


def test_a_name_that_is_too_long_is_refused_in_a_folder_that_is_not_there_yet(tmp_path):
    with pytest.raises(OSError, match="long"):
        files.check_writable(tmp_path / "new" / ("x" * 256))


def test_a_file_that_cannot_be_tried_is_named_by_its_own_name(tmp_path):
    (tmp_path / "link").symlink_to("/proc/none")
    for path in Path("/proc/none"), tmp_path / "link":
        with pytest.raises(OSError, match=r"No such file or directory: '/proc/none'$"):
            files.check_writable(path)


def test_what_may_not_be_written_is_named_and_not_its_draft(tmp_path, monkeypatch):
    def refuse(draft, mode):
        raise PermissionError(errno.EACCES, "Permission denied", str(draft))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError) as refused:
        files.write_whole({tmp_path / "file": b""})
    assert str(refused.value) == f"[Errno 13] Permission denied: '{tmp_path / 'file'}'"


def test_a_read_only_disk_is_named_by_the_file_not_by_its_draft(tmp_path, monkeypatch):
    def refuse(draft, *mode, **options):  # to open a draft, and to remove it, though it is not there
        raise OSError(errno.EROFS, "Read-only file system", str(draft))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OSError, match="Read-only") as refused:
        files.write_whole({tmp_path / "file": b""})
    assert refused.value.filename == str(tmp_path / "file")


def test_a_link_that_leads_nowhere_but_to_itself_gives_way(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    files.check_writable(tmp_path / "loop")
    files.write_whole({tmp_path / "loop": b"whole"})
    assert (tmp_path / "loop").read_bytes() == b"whole"


def test_what_stands_in_the_place_of_a_policy_is_told_before_the_run_and_loses_nothing(tmp_path):
    keep(tmp_path)
    policy = where(tmp_path).with_suffix(".npz")
    policy.unlink()
    policy.mkdir()
    with pytest.raises(OSError, match=r"loro-3\.npz is a folder"):
        files.kept_or_made(tmp_path, KNOWN, False, lambda: pytest.fail("it ran"))
    assert files.kept_result(tmp_path, KNOWN, True)


def test_a_long_name_that_is_let_pass_can_be_written(tmp_path):
    path = tmp_path / ("x" * 244)
    files.check_writable(path)
    files.write_whole({path: b"text"})
    assert names(tmp_path) == [path.name]


def test_drafts_of_killed_runs_are_removed_and_fresh_ones_stay(tmp_path):
    old, fresh = (f".{digit * 32}.part" for digit in "a7")
    ages = {old: 2 * HOUR, fresh: HOUR / 2, "old.txt": 2 * HOUR, ".thesis.part": 2 * HOUR, "file.part": 2 * HOUR}
    for name, age in ages.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    files.check_writable(tmp_path / "file")
    assert names(tmp_path) == [fresh, ".thesis.part", "file.part", "old.txt"]  # the rest is not ours


def test_a_draft_that_is_done_in_the_meantime_is_no_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [folder / ".gone.part"])
    files.check_writable(tmp_path / "file")


# JSON


def test_an_object_is_read():
    assert files.json_object('{"a": [1, 2.5, null, true, "ü"]}'.encode()) == {"a": [1, 2.5, None, True, "ü"]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b'{"a": "\xff"}', "not JSON in UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": ' * 100_000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_anything_else_is_refused_in_a_line(text, problem):
    with pytest.raises(UserError, match=problem) as refused:
        files.json_object(text)
    assert "\n" not in str(refused.value)


def test_the_checksum_sees_every_value_and_the_order():
    data = {"a": 1, "b": [1.5, None]}
    others = [data | {"a": 2}, data | {"b": [1.25, None]}, data | {"b": [None, 1.5]}, {"a": 1, "c": [1.5, None]}]
    assert files.checksum(data) == files.checksum(dict(data)) and len({*map(files.checksum, [data, *others])}) == 5
    assert len(files.checksum(data)) == 8 and int(files.checksum(data), 16) >= 0


# Code

CODE = '''"""What it is."""

# A remark.
LIMIT = 3
NAME = f"{LIMIT:{LIMIT}}"


class Walker:
    """Walks."""

    speed = 2

    def walk(self, steps=1):
        """Walks so many steps."""

        def far(n):
            "How far."
            return n * self.speed  # at once

        return min(far(steps), LIMIT)
'''


@pytest.fixture
def code_checksum(tmp_path):
    """text -> the checksum of a module of that text."""

    def checksum(text, *names):
        path = tmp_path / f"module_{len(names_of)}.py"
        path.write_text(text)
        names_of.append(path.stem)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return files.code_checksum(*[getattr(module, name) for name in names] or [module])

    names_of = []
    return checksum


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# A remark.", "# Another one,\n# longer."),
        ("  # at once", ""),
        ("What it is.", "What else it is."),
        ('"""What it is."""', ""),
        ("Walks.", "Runs,\n\n    or flies."),
        ('    """Walks."""\n', ""),
        ("Walks so many steps.", "Steps."),
        ('"How far."', '"""How far exactly."""'),
        ('            "How far."\n', ""),
        ("speed = 2\n", "speed = 2\n\n\n"),
        ("min(far(steps), LIMIT)", "min(\n            far(steps),\n            LIMIT,\n        )"),
        ("n * self.speed", "(n * self.speed)"),
    ],
)
def test_a_changed_comment_docstring_or_layout_is_no_change(code_checksum, before, after):
    assert before in CODE and code_checksum(CODE) == code_checksum(CODE.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("speed = 2", "speed = 2.0"),
        ("steps=1", "steps=2"),
        ("n * self.speed", "n + self.speed"),
        ("min(", "max("),
        ("far(steps), LIMIT", "LIMIT, far(steps)"),
        ("def walk", "def run"),
        ("class Walker:", "class Walker(dict):"),
        ("    def walk", "    @staticmethod\n    def walk"),
        ("    speed = 2\n", ""),
    ],
)
def test_changed_code_is_a_change(code_checksum, before, after):
    assert before in CODE and code_checksum(CODE) != code_checksum(CODE.replace(before, after))


def test_no_value_that_counts_as_false_is_like_another(code_checksum):
    values = "0", "0.0", "False", "None", "''", "b''", "()", "[]", "{}"
    assert len({code_checksum(f"x = {value}\n") for value in values}) == len(values)


def test_all_modules_of_a_package_count(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "house").mkdir()
    (tmp_path / "house/__init__.py").write_text("from . import attic, room\n")
    (tmp_path / "house/attic.py").touch()  # is empty, as many an __init__.py
    (tmp_path / "house/room.py").write_text("x = 1\n")
    house = importlib.import_module("house")
    before = files.code_checksum(house)
    (tmp_path / "house/room.py").write_text("x = 2\n")
    linecache.clearcache()
    assert files.code_checksum(house) != before


def test_the_order_of_imports_does_not_count(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "barn").mkdir()
    for name in "__init__", "hay", "straw":
        (tmp_path / f"barn/{name}.py").write_text(f"x = {name!r}\n")
    barn, _, _ = (importlib.import_module(name) for name in ("barn", "barn.straw", "barn.hay"))
    before = files.code_checksum(barn)
    sys.modules["barn.straw"] = sys.modules.pop("barn.straw")  # now the last
    assert files.code_checksum(barn) == before


def test_every_version_of_python_finds_the_same(code_checksum):
    assert code_checksum(CODE) == "a345e3b8"


def test_of_a_function_only_its_own_code_counts(code_checksum):
    text = "def one():\n    return 1\n\n\ndef two():\n    return 2\n"
    other = text.replace("return 2", "return 3")
    assert code_checksum(text, "one") == code_checksum(other, "one")
    assert code_checksum(text, "one", "two") != code_checksum(other, "one", "two")


# Results

KNOWN = {"env": "Walk-v0", "method": "loro", "seed": 3, "model": "M", "llm_episodes": 1, "best_return": 2.5}
KNOWN["config"] = {"evaluations": 3, "discount": 0.9, "hidden": (4, 5)}
RESULT = {**KNOWN, "returns": [1.0, 2, 0.5], "trust": [1.0, 0.5, 0.0]}


def make(returns=(1.0, 2.0, 0.5), updates=7, learnt=0.0):
    """What plays a run, without playing."""
    agent = SimpleNamespace(updates=updates, n_actions=2, learnt=np.full((2, 2), learnt))
    return lambda: ({"returns": list(returns), "trust": None, "updates": 7, "clone": False}, agent)


def never():
    raise AssertionError("it was made")


def keep(folder, **changes):
    return files.kept_or_made(folder, KNOWN | changes, False, make())[0]


def where(folder):
    return folder / "Walk-v0" / "loro-3.json"


def test_a_result_is_kept_as_it_is_returned(tmp_path):
    run = make()
    made, agent = files.kept_or_made(tmp_path, KNOWN, False, run)
    assert agent is run()[1]
    assert made["returns"] == [1.0, 2.0, 0.5] and made["cumulative_reward"] == 3.5 and made["updates"] == 7
    kept = json.loads(where(tmp_path).read_text())
    assert kept == made and json.loads(json.dumps(KNOWN)) == {name: made[name] for name in KNOWN}
    assert files.read_result(where(tmp_path).read_bytes(), "x") == kept
    assert names(where(tmp_path).parent) == ["loro-3.json", "loro-3.npz"]


def test_a_result_is_made_anew_unless_one_resumes(tmp_path):
    keep(tmp_path)
    assert files.kept_or_made(tmp_path, KNOWN, False, make([0.0] * 3))[0]["returns"] == [0.0] * 3
    found, agent = files.kept_or_made(tmp_path, KNOWN, True, never)
    assert found["returns"] == [0.0] * 3 and agent is None
    assert files.kept_or_made(tmp_path, KNOWN | {"seed": 4}, True, make())[1] is not None


def test_a_policy_does_not_outlive_its_run(tmp_path):
    keep(tmp_path)
    files.kept_or_made(tmp_path, KNOWN, False, make(updates=0))
    assert names(where(tmp_path).parent) == ["loro-3.json"]


def test_a_link_to_a_result_stays_one(tmp_path):
    keep(tmp_path)
    where(tmp_path).rename(tmp_path / "elsewhere.json")
    where(tmp_path).symlink_to(tmp_path / "elsewhere.json")
    keep(tmp_path, best_return=7.0)
    assert where(tmp_path).is_symlink() and json.loads((tmp_path / "elsewhere.json").read_text())["best_return"] == 7.0


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_a_result_never_stands_beside_another_runs_policy(tmp_path, monkeypatch, suffix):
    def stop(draft, path):
        if path.suffix == suffix:
            raise KeyboardInterrupt
        replace(draft, path)

    keep(tmp_path)
    replace = os.replace
    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        files.kept_or_made(tmp_path, KNOWN, False, make(learnt=1.0))
    assert names(where(tmp_path).parent) == ["loro-3.npz"]
    assert files.kept_result(tmp_path, KNOWN, True) is None


@pytest.mark.parametrize("updates", [0, 7])
@pytest.mark.parametrize("written", [0, 1])
def test_a_full_disk_leaves_the_old_result_and_its_policy(tmp_path, monkeypatch, written, updates):
    def write(file):
        if len(writing) == written:
            raise OSError(errno.ENOSPC, "No space left on device")
        writing.append(file)

    def fill_the_disk():
        monkeypatch.setattr(os, "fsync", write)
        return make(learnt=1.0, updates=updates)()

    keep(tmp_path)
    writing, before = [], {path: path.read_bytes() for path in where(tmp_path).parent.iterdir()}
    with pytest.raises(OSError, match=r"No space left .*loro-3\." + ("npz", "json")[written]):
        files.kept_or_made(tmp_path, KNOWN, False, fill_the_disk)
    assert {path: path.read_bytes() for path in where(tmp_path).parent.iterdir()} == before


@pytest.mark.parametrize("wrong", [*({"returns": [1.0, 2, x]} for x in (np.nan, np.inf, -2e12)), {"learnt": np.nan}])
def test_what_is_no_finite_number_is_not_kept(tmp_path, wrong):
    keep(tmp_path)
    before = where(tmp_path).read_bytes()
    with pytest.raises(UserError, match=r"Walk-v0 loro seed 3 .*finite number, or beyond 1e\+12; look at its rewards"):
        files.kept_or_made(tmp_path, KNOWN, False, make(**wrong))
    assert where(tmp_path).read_bytes() == before


def test_resuming_notices_another_runs_file(tmp_path):
    keep(tmp_path)
    where(tmp_path).rename(where(tmp_path).with_name("loro-4.json"))
    with pytest.raises(UserError, match="made with seed 3, not 4;"):
        files.kept_or_made(tmp_path, KNOWN | {"seed": 4}, True, never)


def test_a_resumed_result_is_as_it_was_kept(tmp_path):
    made = keep(tmp_path, config=KNOWN["config"] | {"episodes": "abc"})
    assert files.kept_result(tmp_path, KNOWN, True) == json.loads(json.dumps(made))


@pytest.mark.parametrize(
    ("changes", "unlike"),
    [
        ({"discount": 0.8}, "discount 0.9, not 0.8"),
        ({"hidden": (4, 6)}, "hidden [4, 5], not [4, 6]"),
        ({"evaluations": 4}, "evaluations 3, not 4"),
        ({"code": "abc"}, "code None, not abc"),
        ({"discount": 0.8, "evaluations": 4}, "evaluations 3, not 4; discount 0.9, not 0.8"),
    ],
)
def test_resuming_names_in_what_a_result_is_unlike(tmp_path, changes, unlike):
    keep(tmp_path)
    before = where(tmp_path).read_bytes()
    with pytest.raises(UserError, match="--resume") as refused:
        files.kept_or_made(tmp_path, KNOWN | {"config": KNOWN["config"] | changes}, True, never)
    assert str(where(tmp_path)) in str(refused.value) and unlike in str(refused.value)
    assert where(tmp_path).read_bytes() == before


def test_another_best_return_makes_another_result(tmp_path):
    keep(tmp_path)
    with pytest.raises(UserError, match=r"best_return 2\.5, not 3\.5; give another --out, or leave out --resume"):
        files.kept_or_made(tmp_path, KNOWN | {"best_return": 3.5}, True, never)


def test_resuming_misses_what_was_known_then(tmp_path):
    keep(tmp_path, config=KNOWN["config"] | {"code": "abc"})
    with pytest.raises(UserError, match="code abc, not None"):
        files.kept_or_made(tmp_path, KNOWN, True, never)


def test_resuming_names_a_damaged_file(tmp_path):
    keep(tmp_path)
    where(tmp_path).write_bytes(where(tmp_path).read_bytes()[:50])
    with pytest.raises(UserError, match=r"loro-3\.json is not a whole result .*move it away"):
        files.kept_or_made(tmp_path, KNOWN, True, never)


def test_a_run_that_fails_leaves_the_old_result(tmp_path):
    keep(tmp_path)
    before = where(tmp_path).read_bytes()
    with pytest.raises(AssertionError):
        files.kept_or_made(tmp_path, KNOWN, False, never)
    assert where(tmp_path).read_bytes() == before and names(where(tmp_path).parent) == ["loro-3.json", "loro-3.npz"]


def test_a_run_whose_result_cannot_be_written_is_not_played(tmp_path):
    (tmp_path / "Walk-v0").write_text("in the way")
    with pytest.raises(OSError, match="Walk-v0"):
        files.kept_or_made(tmp_path, KNOWN, False, never)


# What is no result


def test_a_result_is_read():
    assert files.read_result(json.dumps(RESULT).encode(), "x")["returns"] == [1.0, 2, 0.5]
    for field in ("model", "best_return", "trust"):
        assert files.read_result(json.dumps(RESULT | {field: None}).encode(), "x")[field] is None


HUGE = "huge"  # stands for 1e999, which Python does not write
WRONG = {
    "env": [None, 5, ["x"]],
    "method": [None, 5, {}],
    "seed": [None, "3", 1.5, True],
    "config": [None, [], {}, {"evaluations": 4}, {"evaluations": "3"}],
    "returns": [None, 5, "abc", {}, [], [1, 2], [1, 2, 3, 4], [1, 2, "3"], [1, 2, None], [1, 2, True], [1, 2, [3]]],
    "llm_episodes": [None, "1", 1.5, [1]],
    "model": [5, ["M"]],
    "best_return": ["x", [], True, float("nan"), HUGE, -1e13, 1e300, 10**400],
    "trust": [5, "abc", [], [1.0], [1.0, 2, "x"], [1.0, 2, float("nan")]],
}
WRONG["returns"] += [[1, 2, float("nan")], [1, 2, float("inf")], [1, 2, HUGE], [1, 2, 1e300], [1, 2, 10**400]]


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_a_field_of_a_wrong_kind_is_refused(field, value):
    text = json.dumps(RESULT | {field: value}).replace(f'"{HUGE}"', "1e999")
    with pytest.raises(UserError, match=r"^FILE is not a whole result \(.*\); move it away") as refused:
        files.read_result(text.encode(), "FILE")
    assert "\n" not in str(refused.value)


def test_a_result_has_evaluations():
    empty = RESULT | {"config": {"evaluations": 0}, "returns": [], "trust": None}
    with pytest.raises(UserError, match="not a whole result"):
        files.read_result(json.dumps(empty).encode(), "FILE")


@pytest.mark.parametrize("field", [field for field in RESULT if field != "trust"])
def test_a_missing_field_is_named(field):
    lacking = {name: value for name, value in RESULT.items() if name != field}
    with pytest.raises(UserError, match=rf"FILE .*missing or wrong: .*{field}"):
        files.read_result(json.dumps(lacking).encode(), "FILE")


simple = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
values = simple | st.lists(simple, max_size=3) | st.dictionaries(st.just("evaluations"), simple)


@given(st.dictionaries(st.sampled_from([*RESULT]), values, max_size=3))
def test_whatever_else_it_holds_is_refused_in_a_line_or_well_formed(changes):
    try:
        found = files.read_result(json.dumps(RESULT | changes).encode(), "FILE")
    except ValueError as error:
        assert str(error).startswith("FILE is not a whole result (") and "\n" not in str(error)
    else:
        assert len(found["returns"]) == found["config"]["evaluations"] and abs(sum(found["returns"])) < 1e13
        assert all(type(found[name]) is str for name in ("env", "method")) and type(found["seed"]) is int


@given(st.integers(0, 150), st.integers(0, 30), st.binary(max_size=3))
def test_damage_never_ends_in_another_error(start, length, instead):
    text = json.dumps(RESULT).encode()
    try:
        files.read_result(text[:start] + instead + text[start + length :], "FILE")
    except ValueError as error:
        assert str(error).startswith("FILE is not a whole result (") and "\n" not in str(error)


# Folders and packed studies


@pytest.fixture
def study(tmp_path):
    for seed in (3, 10):
        keep(tmp_path / "study" / "main", seed=seed)
    keep(tmp_path / "study" / "main", env="Run-v0", method="online")
    keep(tmp_path / "study" / "few", returns=[0.0] * 3)
    return tmp_path / "study"


def test_a_study_is_found_from_any_folder_above_its_results(study, monkeypatch):
    found = files.read_results(study)
    runs = [(each["folder"], each["env"], each["method"], each["seed"]) for each in found]
    assert sorted(runs) == [
        ("few", "Walk-v0", "loro", 3),
        ("main", "Run-v0", "online", 3),
        ("main", "Walk-v0", "loro", 3),
        ("main", "Walk-v0", "loro", 10),
    ]
    walks = [each for each in found if (each["folder"], each["env"]) == ("main", "Walk-v0")]
    assert files.read_results(study / "main" / "Walk-v0") == walks
    monkeypatch.chdir(study / "main" / "Walk-v0")
    assert files.read_results(Path(".")) == walks


def test_what_lies_deeper_than_a_folders_own_results_is_not_read_with_them(study):
    keep(study / "main" / "more" / "exercises", env="Far-v0")
    assert {each["env"] for each in files.read_results(study / "main")} == {"Walk-v0", "Run-v0"}
    assert {each["env"] for each in files.read_results(study)} == {"Walk-v0", "Run-v0", "Far-v0"}


def test_a_link_to_a_folder_is_followed(study):  # as from a disk that was full
    walks = files.read_results(study / "main" / "Walk-v0")
    (study / "main" / "Walk-v0").rename(study.parent / "elsewhere")
    (study / "main" / "Walk-v0").symlink_to("../../elsewhere")
    assert len(walks) == 2 and files.read_results(study / "main" / "Walk-v0") == walks
    assert len(files.read_results(study)) == 4


def test_a_packed_study_is_the_study_whenever_it_is_packed(study, monkeypatch):
    found, path = files.read_results(study), study / "new" / "study.gz"
    files.pack(found, path)
    first = path.read_bytes()
    assert files.read_results(path) == found and names(path.parent) == ["study.gz"]
    monkeypatch.setattr(time, "time", lambda: 0.0)
    files.pack(files.read_results(path), path)
    assert path.read_bytes() == first and gzip.decompress(first).count(b"\n") == len(found)


@pytest.mark.parametrize("name", ["loro-4.json", "online-3.json", "loro.json", "../Run-v0/loro-3.json"])
def test_a_result_under_anothers_name_is_refused(study, name):
    path = study / "main" / "Walk-v0" / name
    where(study / "main").rename(path)
    with pytest.raises(UserError, match=r"\.json holds another run than its name says"):
        files.read_results(study)


def test_what_is_no_result_in_a_folder_is_named(study):
    (study / "main" / "notes.json").write_text("{}")
    with pytest.raises(UserError, match=r"notes\.json is not a whole result"):
        files.read_results(study)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "holds no results"),
        (b"no gzip", "not a packed study"),
        (gzip.compress(b"", mtime=0)[:-1], "not a packed study, or a damaged one"),
        (gzip.compress(json.dumps(RESULT).encode() + b"\n{}\n", mtime=0), "line 2 is not a whole result"),
    ],
)
def test_what_is_no_packed_study_is_refused(tmp_path, content, problem):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^{path}.* ?{problem}"):
        files.read_results(path)


def test_a_place_that_is_not_there_or_empty_is_named(tmp_path):
    with pytest.raises(UserError, match=f"there is no {tmp_path / 'missing'}"):
        files.read_results(tmp_path / "missing")
    with pytest.raises(UserError, match=f"{tmp_path} holds no results"):
        files.read_results(tmp_path)


PACKED = gzip.compress(json.dumps(RESULT).encode() + b"\n", mtime=0)


@given(st.integers(0, len(PACKED) - 1), st.sampled_from([0, 1, 2, 10_000]), st.binary(max_size=2))
def test_damage_to_a_packed_study_is_named_or_harmless(tmp_path_factory, start, length, instead):
    path = tmp_path_factory.mktemp("packed") / "file"
    path.write_bytes(PACKED[:start] + instead + PACKED[start + length :])
    try:
        (found,) = files.read_results(path)
    except ValueError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
    else:
        assert found == {"folder": "file", **json.loads(json.dumps(RESULT))}


def test_a_file_name_has_one_dash_for_what_it_cannot_hold():
    assert files.file_name("my games:Taxi/../v4 (2)") == "my-games-Taxi-..-v4-2-"


def test_a_module_whose_name_begins_like_a_packages_is_not_of_it(monkeypatch):
    import agents

    before = files.code_checksum(agents)
    monkeypatch.setitem(sys.modules, "agents_of_others", json)
    assert files.code_checksum(agents) == before
