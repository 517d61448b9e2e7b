"""What lies on disk: files written whole or not at all; results and policies, read and checked in one place."""

import ast
import glob
import gzip
import inspect
import io
import json
import linecache
import os
import re
import sys
import time
import uuid
import zlib
from argparse import ArgumentTypeError
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

LARGEST = 1e12  # of the numbers in a file; none that is right comes near it
# What is read of a result, and the types that it may have.
FIELDS = {"env": (str,), "method": (str,), "seed": (int,), "config": (dict,), "returns": (list,)}
FIELDS |= {"llm_episodes": (int,), "model": (str, type(None)), "best_return": (int, float, type(None))}


class UserError(ValueError, ArgumentTypeError):
    """What was given, also to an option, cannot be used. The message is one line that says what to do."""


def need(met, problem):
    """Raises UserError, which tells the problem, if a requirement is not `met`: an `assert` on what was given."""
    if not met:
        raise UserError(problem)


def write_whole(files):
    """Writes `files`, {Path: bytes, or None to remove it}, each whole or not at all: no reader, and no crash, sees half
    of one. Nothing is replaced or removed before all are on the disk. An OSError names the file."""
    paths = [real(path) for path in files]
    drafts = [path.with_name(f".{uuid.uuid4().hex}.part") for path in paths]
    try:
        for path, draft, data in zip(paths, drafts, files.values()):
            path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(data or b"")
                file.flush()
                os.fsync(file.fileno())
        for path in paths[1:]:  # no crash is to leave an earlier result beside another run's policy
            path.unlink(missing_ok=True)
        for path, draft, data in zip(paths, drafts, files.values()):
            if data is None:
                path.unlink(missing_ok=True)
            else:
                os.replace(draft, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        for draft in drafts:
            with suppress(OSError):  # a disk that is read-only refuses even what is not there
                draft.unlink()


def real(path):
    """The Path `path` with links followed, since a link to a file stays one. Raises OSError if it is no file."""
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path} is a folder or a device, and no file; give another")
    return path


def check_writable(path):
    """Raises OSError if the file cannot be written: better before the work than after. Removes stale drafts."""
    path = real(path)
    path.parent.mkdir(parents=True, exist_ok=True)  # else a name that is too long is not found out
    for draft in path.parent.glob(f".{'[0-9a-f]' * 32}.part"):
        with suppress(FileNotFoundError):  # Another run may have finished it.
            if time.time() - draft.stat().st_mtime > 3600:
                draft.unlink()
    with suppress(FileNotFoundError):
        path.lstat()  # refuses a name that is too long; `exists` does so only before Python 3.14
    try:
        TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def json_object(text):
    """The JSON object in `text`, a str or bytes; also the type of an option. Raises UserError if there is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError("not JSON in UTF-8") from None
    need(isinstance(found, dict), "not a JSON object")
    return found


def are_numbers(values, n, kinds=(int, float), low=-LARGEST, high=LARGEST):
    """Is `values` a list of `n` numbers of those types, from `low` to `high`?"""
    return isinstance(values, list) and len(values) == n and all(type(x) in kinds and low <= x <= high for x in values)


def checksum(data):
    """The CRC-32, 8 hexadecimal digits, of anything that JSON can hold."""
    return f"{zlib.crc32(json.dumps(data).encode()):08x}"


def code_checksum(*parts):
    """The checksum of functions, classes, modules and packages by what they do, not by comments, docstrings, layout."""
    inside = tuple(f"{part.__name__}." for part in parts if hasattr(part, "__path__"))
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith(inside)]
    texts = ["".join(linecache.getlines(module.__file__ or "")) for module in modules]  # getsource fails on empty files
    return checksum([as_lists(ast.parse(text)) for text in (*map(inspect.getsource, parts), *texts)])


def as_lists(node):
    """A syntax tree in lists, without docstrings, and without empty fields, which some versions of Python add."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
        node.body[:1] = [] if node.body[1:] else [ast.Pass()]
    if isinstance(node, ast.JoinedStr):  # Python 3.12 adds empty parts to an f-string
        node.values = [part for part in node.values if getattr(part, "value", None) != ""]
    if isinstance(node, ast.AST):
        fields = [[name, as_lists(value)] for name, value in ast.iter_fields(node) if value not in (None, [])]
        return [type(node).__name__, *fields]
    return [as_lists(each) for each in node] if isinstance(node, list) else repr(node)


def file_name(text):
    """`text` as a name that chooses no folder, and that any file system accepts."""
    return re.sub(r"[^\w.-]+", "-", text)


def result_path(folder, run):
    return folder / file_name(run["env"]) / "{method}-{seed}.json".format(**run)


def kept_result(folder, known, resume):
    """The result that is in `folder`, if `resume`; else None, once it is sure that one can be kept there. known: as for
    `kept_or_made`. Raises UserError if what is there was made otherwise, OSError if a new one could not be written."""
    path = result_path(folder, known)
    if not (resume and path.exists()):
        check_writable(path)
        check_writable(path.with_suffix(".npz"))
        return None
    found = read_result(path.read_bytes(), path)
    wanted = json.loads(json.dumps(known))  # with lists for tuples, as in the file
    names = "env", "method", "seed", "model", "best_return"
    then, now = (each["config"] | {name: each[name] for name in names} for each in (found, wanted))
    now |= {name: then.get(name) for name in ("model", "episodes") if now.get(name) is None}  # not yet read: any fits
    unlike = [f"{k} {then.get(k)}, not {now.get(k)}" for k in now | then if then.get(k) != now.get(k)]
    need(not unlike, f"{path}: made with {'; '.join(unlike)}; give another --out, or leave out --resume")
    return found


def kept_or_made(folder, known, resume, make):
    """(result, agent): with `resume`, the result that is in `folder`, and None; else it is made anew, and kept.

    known: what is known of it beforehand: env, method, seed, model, llm_episodes, best_return, config. make: plays it,
    () -> ({returns, trust, updates, clone}, the agent). Added are cumulative_reward, seconds and versions. Raises as
    `kept_result` does, and UserError where a number is not finite or too large."""
    if found := kept_result(folder, known, resume):
        return found, None
    started = time.perf_counter()
    result, agent = make()
    if not ((np.abs(result["returns"]) <= LARGEST).all() and np.isfinite(agent.learnt).all()):
        what = "{env} {method} seed {seed} earned or learnt what is no finite number, or".format(**known)
        raise UserError(f"{what} beyond {LARGEST:g}; look at its rewards and observations, or lower the learning rate")
    result = {**known, **result, "cumulative_reward": sum(result["returns"])}
    result["seconds"] = round(time.perf_counter() - started, 1)
    result["versions"] = {name: version(name) for name in ("numpy", "gymnasium")}
    write_result(result_path(folder, known), result, agent)
    return json.loads(json.dumps(result)), agent  # as it will be read: with lists for tuples


def write_result(path, result, agent):
    """Writes a result to `path` and, if its agent has learnt, the policy into a .npz file beside it."""
    text = json.dumps(result)
    np.savez(npz := io.BytesIO(), about=text, learnt=agent.learnt)
    policy = npz.getvalue() if agent.updates else None  # else an earlier run's goes
    write_whole({path.with_suffix(".npz"): policy, path: f"{text}\n".encode()})


def read_policy(path):
    """(result, learnt) of a policy that `write_result` wrote: its run's result, and the learner's array. Raises
    UserError if the file is none or is damaged, OSError if it cannot be opened."""
    with path.open("rb") as file, suppress(Exception):  # of a dozen kinds, by what of the archive is damaged
        kept = np.load(file, allow_pickle=False)
        result, learnt = json_object(kept["about"].item()), kept["learnt"]
        if learnt.dtype.kind == "f" and np.isfinite(learnt).all() and type(result["config"]) is dict:
            return result, learnt
    raise UserError(f"{path} is not a whole policy; run that seed again")


def read_result(text, where):
    """The result, a dict, in `text`, JSON by `write_result`. Raises UserError, naming `where`, if it is none."""
    try:
        found = json_object(text)
        wrong = [name for name, kinds in FIELDS.items() if type(found.get(name, ...)) not in kinds]
        need(not wrong, f"missing or wrong: {', '.join(wrong)}")
        need(abs(found["best_return"] or 0) <= LARGEST, "wrong: best_return")
        n, trust = found["config"].get("evaluations"), found.get("trust")
        need(n and are_numbers(found["returns"], n), "missing or wrong: returns, one for each evaluation")
        need(trust is None or are_numbers(trust, n), "missing or wrong: trust, one for each evaluation")
    except ValueError as error:
        raise UserError(f"{where} is not a whole result ({error}); move it away and run that seed again") from None
    return found


def read_results(place):
    """The results, a list of dicts, in `place`: an --out of loro.py, an ENV folder in one, or all --outs below it; or a
    packed file. Each holds its `folder`. Raises UserError for what is no result, or lies under another's name."""
    place = Path(os.path.abspath(place))
    if place.is_dir():
        names = glob.glob("*/*.json", root_dir=place) or glob.glob("**/*.json", root_dir=place, recursive=True)
        paths = sorted(place / name for name in names)
        found = [{"folder": path.parent.parent.name, **read_result(path.read_bytes(), path)} for path in paths]
        for path, each in zip(paths, found):
            right = result_path(path.parent.parent, each)
            need(path == right, f"{path} holds another run than its name says; move it away")
    else:
        need(place.is_file(), f"there is no {place}; give a folder that loro.py wrote to, or a packed study")
        try:
            lines = gzip.decompress(place.read_bytes()).splitlines()
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{place} is not a packed study, or a damaged one: {error}; give it, or a folder") from None
        found = [{"folder": place.name, **read_result(line, f"{place}, line {i}")} for i, line in enumerate(lines, 1)]
    need(found, f"{place} holds no results; of a packed study give the file")
    return found


def pack(results, path):
    """Writes the `results` to one file, gzip-compressed JSON Lines, from which `read_results` gives them back."""
    write_whole({path: gzip.compress("".join(json.dumps(each) + "\n" for each in results).encode(), mtime=0)})
