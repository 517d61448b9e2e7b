"""The study: the list of its runs, and what becomes of them, with a `python` that writes small results at once."""

import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections import Counter
from functools import cache

import pytest
from helpers import ROOT, SHIPPED

import llm_client
import loro
import terminal
from envs_text import ENVIRONMENTS

TIMEOUT = 120
TABLES = ("FrozenLake-v1", "CliffWalking-v1")
VARIANTS = {  # of a method, by a setting
    "online-more": ("online", {"early_updates": 12}),
    "no-pretraining": ("loro-plus", {"pretrain_updates": 0}),
    "no-early-updates": ("online", {"early_updates": 1}),
    "no-advantage-learning": ("online", {"advantage_learning": 0}),
    "no-layer-norm": ("online", {"layer_norm": False}),
    **{f"tau-{n}": ("loro-plus", {"llm_episodes": n}) for n in (1, 3)},
    **{f"pretrain-{n}": ("loro", {"pretrain_updates": n}) for n in (300, 3000)},
}

NO_PYTHON = "there is no python that runs loro.py; activate one: . .venv/bin/activate"
ABLE = '#!/bin/sh\n[ "$2" != --help ] || exit 0\n'

# A `python` for run_all.sh: $3 is the environment, $5 the method, $7 the seed, $9 the folder. It fails in $BROKEN.
FAKE = f"""#!/bin/sh
case "$*" in
    "loro.py --help") exit ${{UNABLE:-0}} ;;
    *"import matplotlib"*) exit ${{LACKING:-0}} ;;
    *--figure*) echo "$*" > figure-of ;;
    report.py*) exec {shlex.quote(sys.executable)} "$@" ;;
esac
[ "$1" = loro.py ] || exit 0
[ -t 2 ] && echo "a status line" >&2
case "$3" in $BROKEN) echo "loro.py: no $5 in $3" >&2; exit 2 ;; esac
mkdir -p "$9/$3"
sed "s/ENV/$3/; s/METHOD/$5/; s/SEED/$7/" result > "$9/$3/$5-$7.json"
"""
RESULT = {"env": "ENV", "method": "METHOD", "seed": "SEED", "model": None, "config": {"evaluations": 2}}
RESULT |= {"returns": [1.0, 2.0], "llm_episodes": 0, "best_return": 2.0}


@cache
def parsed(command):
    return terminal.parse(loro.METHODS, loro.Settings, llm_client.Asking, shlex.split(command)[2:])[:2]


def listed(**variables):
    """The runs of ./run_all.sh --list: the options of each, a Namespace, and its settings, a dict."""
    command, environment, runs = [ROOT / "run_all.sh", "--list"], {**os.environ, **variables}, []
    for line in subprocess.check_output(command, env=environment, text=True, timeout=TIMEOUT).splitlines():
        (seed,) = re.findall(r" --seed (\d+) ", line)  # the runs are too many to parse all of them
        options, given = parsed(line.replace(f" --seed {seed} ", " "))
        runs.append((Namespace(**{**vars(options), "seed": int(seed)}), given))
        assert line.startswith("python loro.py ")
    return runs


def folders(runs):
    return Counter(options.out.name for options, _ in runs)


@pytest.fixture
def teacher(tmp_path):
    """A folder of another teacher's episodes, in two environments."""
    folder = tmp_path / "my files" / "weak"
    folder.mkdir(parents=True)
    for name in ("FrozenLake-v1.jsonl", "RepresentedPong-v0.jsonl", "CartPole-v1-another.jsonl"):
        (folder / name).touch()
    return folder


@pytest.fixture
def study(tmp_path):
    """run_all.sh in a folder of its own with the fake `python`: a function that starts it."""
    folder = tmp_path / "study"
    (folder / "bin").mkdir(parents=True)
    for name in ("run_all.sh", "report.py", "files.py", "terminal.py"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "result").write_text(json.dumps(RESULT).replace('"SEED"', "SEED"))
    (folder / "bin" / "python").write_text(FAKE)
    (folder / "bin" / "python").chmod(0o755)

    def start(script=None, **variables):
        if script:
            (folder / "bin" / "python").write_text(script)
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        variables = {"QUICK": "1", "SEEDS": "0 0", "OUT": "out", "BROKEN": "nothing", "PATH": path, **variables}
        streams = {name: variables.pop(name, subprocess.PIPE) for name in ("stdout", "stderr")}
        environment, how = {**os.environ, **variables}, {"cwd": folder, "text": True, "preexec_fn": heed, **streams}
        return subprocess.Popen(["./run_all.sh"], env=environment, **how)

    def heed():  # who runs the tests by nohup or in the background may ignore these
        for each in (signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_DFL)

    start.folder = folder
    return start


def end(process):
    """(exit code, stdout, lines of stderr)"""
    out, err = process.communicate(timeout=TIMEOUT)
    return process.returncode, out, err.splitlines()


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, "results/study"),
        ({"QUICK": "1"}, "results/quick"),
        ({"OUT": "/my out", "SEEDS": "08 09"}, "/my out"),
        ({"ROLLOUTS": "rollouts"}, "results/study"),
    ],
)
def test_every_run_of_the_list_can_be_parsed_and_resumed_and_writes_a_file_of_its_own(variables, place):
    runs = listed(**variables)
    paths = [(run.out, run.env, method, run.seed) for run, _ in runs for method in run.method]
    assert len(set(paths)) == len(paths) == len(runs) > 0
    assert all(run.resume and run.seeds == 1 and run.env in ENVIRONMENTS for run, _ in runs)
    assert {run.out.parent.as_posix() for run, _ in runs} == {place}


def test_the_study_covers_every_environment_method_and_twenty_seeds():
    runs = [(run.env, run.method[0], run.seed, given) for run, given in listed() if run.out.name == "main"]
    assert sorted(run[:3] for run in runs) == sorted(
        (env, method, seed) for env in SHIPPED for method in loro.METHODS for seed in range(100, 120)
    )
    assert not any(given for *_, given in runs)


def test_each_variant_changes_what_its_name_says():
    runs = [(run, given) for run, given in listed() if run.out.name != "main"]
    for run, given in runs:
        assert (*run.method, given) == VARIANTS[run.out.name], run
    in_all, slow, networks = {"online-more"}, "RepresentedPong-v0", {"no-layer-norm"}
    assert {(run.out.name, run.env) for run, _ in runs} == {
        (name, env)
        for name in VARIANTS
        for env in SHIPPED
        if (env != slow or name in in_all) and not (env in TABLES and name in networks)
    }
    assert set(folders(runs).values()) == {20 * 6, 20 * 5, 20 * 3}


def test_online_more_makes_at_least_as_many_updates_more_as_loro_plus_does_before_it_plays():
    settings, (_, given) = loro.Settings(1), VARIANTS["online-more"]
    more = (given["early_updates"] - settings.early_updates) * settings.early_steps
    assert 0 <= more - settings.pretrain_updates - settings.clone_updates < settings.early_steps


def test_the_quick_slice_is_small_but_has_every_environment():
    runs = listed(QUICK="1")
    assert {(run.env, run.method[0], run.seed) for run, _ in runs} == {
        (env, method, 100) for env in SHIPPED for method in ("online", "loro", "loro-plus")
    }
    assert all(given == {"evaluations": 25} for _, given in runs) and folders(runs) == {"main": 18}


@pytest.mark.parametrize("end", ["", "/", "/more/.."])
def test_another_teacher_has_its_rows_wherever_it_has_played(teacher, end):
    (teacher / "more").mkdir()
    runs = listed(ROLLOUTS=f"{teacher}{end}", SEEDS="3 4")
    assert folders(runs) == {"weak": 2 * 2 * 3} and {run.method[0] for run, _ in runs} == {"loro", "loro-plus", "clone"}
    for run, given in runs:
        assert run.rollouts.samefile(teacher / f"{run.env}.jsonl") and not given


@pytest.mark.parametrize(
    ("variables", "arguments", "problem"),
    [
        *(({"SEEDS": each}, [], "SEEDS is the first") for each in ("5", "119 100", "a b", "1 2 3", "-1 4", "09 8")),
        ({"SEEDS": f"{2**64 + 1} 2"}, [], "SEEDS is the first"),
        ({}, ["--help"], "unknown argument --help"),
        ({}, ["--list", "more"], "unknown argument"),
        ({"ROLLOUTS": "agents"}, [], "agents holds no ENV.jsonl"),
        ({"ROLLOUTS": "agents"}, ["--list"], "agents holds no ENV.jsonl"),
    ],
)
def test_what_it_does_not_understand_it_refuses_in_one_line(variables, arguments, problem):
    command, environment = [ROOT / "run_all.sh", *arguments], {**os.environ, **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("run_all.sh: ") and done.stderr.count("\n") == 1 and problem in done.stderr


def test_its_folder_is_found_whatever_paths_cd_searches(tmp_path):
    (tmp_path / ROOT.name).mkdir()  # where CDPATH would lead
    command = ["bash", f"{ROOT.name}/run_all.sh", "--list"]
    elsewhere = {"CDPATH": str(tmp_path), "ROLLOUTS": "rollouts"}
    found = subprocess.check_output(command, cwd=ROOT.parent, env={**os.environ, **elsewhere}, timeout=TIMEOUT)
    assert found.startswith(b"python loro.py ")


def test_without_python_it_says_so_once(tmp_path):
    for name in ("bash", "dirname", "seq"):
        (tmp_path / name).symlink_to(shutil.which(name))
    environment = {**os.environ, "PATH": str(tmp_path), "OUT": str(tmp_path / "out")}
    done = subprocess.run([ROOT / "run_all.sh"], env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout) == (2, "") and not (tmp_path / "out").exists()
    assert done.stderr == f"run_all.sh: {NO_PYTHON}\n"


def test_a_python_that_cannot_run_it_is_told_of_once(study):
    assert end(study(UNABLE="1")) == (2, "", [f"run_all.sh: {NO_PYTHON}"])
    assert not (study.folder / "out").exists()


@pytest.mark.parametrize("place", ["result", "result/below", "/dev/null", "/proc/none"])
def test_a_folder_that_cannot_be_written_is_refused_at_once(study, place):
    problem = f"run_all.sh: OUT={place} is no folder that can be written; give another"
    assert end(study(OUT=place)) == (2, "", [problem])


def test_it_counts_its_runs_and_ends_with_the_table_and_the_figure(study):
    code, out, err = end(study())
    assert code == 0 and err == [f"{n} of 18 runs" for n in range(1, 19)]
    assert out == (study.folder / "out" / "table.md").read_text() and len(out.splitlines()) == 2 + 18
    assert sorted(path.name for path in (study.folder / "out").iterdir()) == ["main", "table.md"]
    figure = (study.folder / "figure-of").read_text()
    assert figure == "report.py out/main --methods loro-plus loro online --figure out/figure.png\n"


def test_without_matplotlib_it_ends_well_with_the_table_alone(study):
    code, out, err = end(study(LACKING="1"))
    assert code == 0 and err[-1] == "no figure, for want of matplotlib; pip install matplotlib" and "| loro |" in out
    assert not (study.folder / "figure-of").exists()


def test_a_notebooks_backend_costs_no_figure(study):
    fake = FAKE.replace('exit ${LACKING:-0}', '[ "$MPLBACKEND" = agg ]; exit')
    code, _, err = end(study(fake, MPLBACKEND="module://of.a.notebook"))
    assert code == 0 and err[-1] == "18 of 18 runs" and (study.folder / "figure-of").exists()


def test_the_table_is_of_all_that_is_there_and_its_usual_folder_is_main(study, teacher):
    assert end(study())[0] == 0
    code, out, err = end(study(ROLLOUTS=str(teacher)))
    assert code == 0 and err[-1] == "6 of 6 runs"
    assert "| FrozenLake-v1 | loro-plus, weak |" in out and "| FrozenLake-v1 | loro-plus |" in out


def test_of_another_teacher_alone_there_is_a_table_and_no_figure(study, teacher):
    code, out, err = end(study(ROLLOUTS=str(teacher)))
    assert code == 0 and err == [f"{n} of 6 runs" for n in range(1, 7)] and "| FrozenLake-v1 | loro-plus |" in out
    assert not (study.folder / "figure-of").exists()


def test_runs_that_fail_are_told_of_and_the_others_are_made(study):
    code, out, err = end(study(BROKEN="CartPole*"))
    assert code == 1 and err[-1] == "run_all.sh: something failed, see above; the same command tries it again"
    assert sorted(line for line in err if line.startswith("loro.py")) == [
        f"loro.py: no {method} in CartPole-v1" for method in ("loro", "loro-plus", "online")
    ]
    assert [line for line in err if "of 18" in line] == [f"{n} of 18 runs" for n in range(1, 19)]
    assert len(out.splitlines()) == 2 + 15 and "CartPole" not in out


def test_if_every_run_fails_it_says_so_itself_and_writes_no_table(study):
    code, out, err = end(study(BROKEN="*"))
    assert code == 1 and out == "" and not (study.folder / "out" / "table.md").exists()
    assert err[-3] == "18 of 18 runs" and "/out holds no results; " in err[-2]
    assert err[-1] == "run_all.sh: something failed, see above; the same command tries it again"


def test_the_table_stays_as_it_was_if_the_report_refuses(study):
    (study.folder / "out" / "main" / "Walk-v0").mkdir(parents=True)
    (study.folder / "out" / "main" / "Walk-v0" / "loro-0.json").write_text("{}")
    (study.folder / "out" / "table.md").write_text("the table of yesterday")
    code, out, err = end(study())
    assert code == 1 and out == "" and sum("loro-0.json is not a whole result" in line for line in err) == 1
    assert (study.folder / "out" / "table.md").read_text() == "the table of yesterday"


def read_all(descriptor, until=lambda text: False, seconds=TIMEOUT):
    """What comes from a terminal or a pipe, to its end or `until` that is enough."""
    text, deadline = "", time.monotonic() + seconds
    while not until(text):
        ready, _, _ = select.select([descriptor], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"nothing more came after {text!r}"
        try:
            data = os.read(descriptor, 4096).decode()
        except OSError:  # the end of a terminal, on Linux
            break
        if not data:
            break
        text += data
    return text


def test_on_a_terminal_the_counter_stays_in_its_line_and_no_run_writes_over_it(study):
    ours, theirs = pty.openpty()
    process = study(BROKEN="CartPole*", stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = read_all(ours).replace("\r\n", "\n")
    os.close(ours)
    assert process.wait(TIMEOUT) == 1 and "a status line" not in shown
    *counts, last = shown.split("18 of 18 runs\n")
    assert len(counts) == 1 and last.startswith("\r\x1b[Krun_all.sh: something failed")
    assert "\r\x1b[K17 of 18 runs\r\x1b[K" in shown and shown.count("\n") == 3 + 1 + 1


def test_as_many_runs_are_played_at_once_as_there_are_cores(study):
    workers, nproc = study.folder / "workers", study.folder / "bin" / "nproc"
    nproc.write_text("#!/bin/sh\necho ${OMP_NUM_THREADS:-3}\n")
    nproc.chmod(0o755)
    os.mkfifo(workers)
    pipe = os.open(workers, os.O_RDONLY | os.O_NONBLOCK)
    process = study(ABLE + 'exec 9> workers\necho "$$" >&9\nexec sleep 100\n', OMP_NUM_THREADS="1")
    begun = read_all(pipe, until=lambda text: text.count("\n") >= 3)
    process.send_signal(signal.SIGTERM)
    assert begun.count("\n") + read_all(pipe, seconds=40).count("\n") == 3
    os.close(pipe)
    end(process)


@pytest.mark.parametrize("reason", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_when_it_is_stopped_its_runs_stop_too(study, reason):
    workers = study.folder / "workers"
    os.mkfifo(workers)
    pipe = os.open(workers, os.O_RDONLY | os.O_NONBLOCK)
    process = study(ABLE + 'exec 9> workers\necho "$$" >&9\nexec sleep 100\n')
    read_all(pipe, until=lambda text: text.endswith("\n"))
    process.send_signal(reason)
    assert process.wait(TIMEOUT) == -signal.SIGINT  # whatever it was, so that a loop of a shell ends
    read_all(pipe, seconds=40)  # ends when no worker is left that holds its other end
    os.close(pipe)
    assert end(process)[1:] == ("", ["run_all.sh: stopped; the same command goes on"])
