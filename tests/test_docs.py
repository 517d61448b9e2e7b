"""The pages say what the code prints today: the walkthrough's numbers, and each table that stands by its command."""

import doctest
import functools
import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT

import files
from benchmarks.measure import measure
from envs_text import find_environment
from episodes import read_rollouts

PAGES = {page.name: page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]}
QUICK = r"^python (?:report\.py|benchmarks/coverage\.py)(?!.*--figure).*$"
COMMANDS = [
    (name, command) for name, page in PAGES.items() for command in re.findall(QUICK, page.replace("\\\n", ""), re.M)
]
CODE = "study.md", "methods.md", "servers.md", "cluster.md"
BLOCKS = re.findall(r"```python\n((?:(?!```).)*)```\n+```\n(.*?)```", "".join(PAGES[page] for page in CODE), re.S)


read_once = functools.cache(files.read_results)  # a study, of which many blocks and commands tell


@pytest.fixture(autouse=True)
def where_commands_are_given(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(files, "read_results", read_once)


@pytest.fixture
def printed(command):
    """What `python SCRIPT ARGUMENTS` prints."""

    def run(line):
        _, script, *arguments = shlex.split(line)
        return command(*arguments, program=importlib.import_module(script.removesuffix(".py").replace("/", "."))).out

    return run


def test_the_walkthrough_prints_what_it_says():
    page = PAGES["walkthrough.md"].replace("```python", "").replace("```", "")
    examples = doctest.DocTestParser().get_doctest(page, {}, "walkthrough", None, 0)
    wrong = []
    doctest.DocTestRunner().run(examples, out=wrong.append)
    assert len(examples.examples) > 60 and not wrong, "".join(wrong)


@pytest.mark.parametrize(("name", "line"), COMMANDS)
def test_what_a_command_prints_stands_on_its_page(name, line, printed):
    assert len(COMMANDS) >= 5
    assert printed(line) in PAGES[name]


def test_the_readmes_table_is_what_the_study_says_makes_it(printed):
    (line,) = re.findall(r"`(python report\.py [^`]*--brief[^`]*)`", PAGES["study.md"])
    assert printed(line) in PAGES["README.md"]


def test_the_files_have_about_as_many_lines_as_the_readme_says():
    rows = re.findall(r"^\| (`.*\.py`) \| (\d+) \|", PAGES["README.md"], re.M)
    for names, told in rows:
        counted = sum(len((ROOT / name).read_text().splitlines()) for name in re.findall("`(.*?)`", names))
        assert abs(counted - int(told)) <= min(10, max(2, int(told) // 20))  # but for some lines of one's own
    assert len(rows) == 10


@pytest.mark.parametrize(("code", "output"), BLOCKS)
def test_what_a_block_of_code_prints_stands_below_it(code, output, capsys):
    exec(code, {})
    assert capsys.readouterr().out == output


@pytest.mark.parametrize("study", ["main", "untuned"])
def test_the_environments_numbers_are_those_that_the_study_was_made_with(study):
    runs = read_once(f"study/{study}.jsonl.gz")
    made_with = {run["env"]: run["config"] | {"best_return": run["best_return"]} for run in runs}
    for name, config in made_with.items():
        environment = find_environment(name)
        now = environment.numbers() | {"best_return": environment.best_return}
        assert now == {field: config[field] for field in now}
    assert len(made_with) >= 2


published = ROOT.parent / "shared" / "published" / "curves.json"


@pytest.mark.skipif(not published.is_file(), reason="the published curves are not part of this repository")
def test_the_published_figures_become_the_table_on_their_page(capsys):
    code, output = re.findall(r"```python\n(.*?)```\n+```\n(.*?)```", PAGES["published.md"], re.S)[0]
    exec(code.replace("curves.json", str(published)), {})
    assert capsys.readouterr().out == output


def test_the_environments_of_ones_own_are_what_their_page_says(own_module):
    module, demonstration = re.findall(r"```python\n(.*?)```", PAGES["environments.md"], re.S)
    own_module(module)
    exec(demonstration, {})
    lift, blackjack = map(find_environment, ("my_games:Lift-v0", "my_games:Blackjack-v1"))
    for known in lift, blackjack:
        measured = measure(known, 100)
        for name in "random_return", "random_std", "reward_scale":
            assert getattr(known, name) == pytest.approx(measured[name], abs=0.005)
    _, episodes = read_rollouts(Path("mine.jsonl"), "my_games:Lift-v0", lift.make())
    assert len(set(np.concatenate([episode.observations[:-1] for episode in episodes]).tolist())) == 35
    assert np.mean([episode.total for episode in episodes]) == pytest.approx(0.835)
    floors = np.arange(10)
    assert lift.best_return == pytest.approx(1 - 0.05 * abs(floors[:, None] - floors).mean())
    assert blackjack.describe([14, 10, 1]) == "You hold 14, with an ace. The dealer shows 10."
