"""The pages say what the code prints today: the walkthrough's numbers, and each table that stands by its command."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

PAGES = {page.name: page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]}
QUICK = r"^python (?:report\.py|benchmarks/(?:coverage|prompts|teachers)\.py)(?!.*(?:--figure|npz)).*$"
COMMANDS = [
    (name, command) for name, page in PAGES.items() for command in re.findall(QUICK, page.replace("\\\n", ""), re.M)
]
CODE = "study.md", "methods.md", "cluster.md"
BLOCKS = re.findall(r"```python\n(.*?)```\n+```\n(.*?)```", "".join(PAGES[page] for page in CODE), re.S)


def printed(*command):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_walkthrough_prints_what_it_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = PAGES["walkthrough.md"].replace("```python", "").replace("```", "")
    examples = doctest.DocTestParser().get_doctest(page, {}, "walkthrough", None, 0)
    wrong = []
    doctest.DocTestRunner().run(examples, out=wrong.append)
    assert len(examples.examples) > 60 and not wrong, "".join(wrong)


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_what_a_command_prints_stands_on_its_page(name, command):
    assert len(COMMANDS) > 5
    assert printed("bash", "-c", command) in PAGES[name]


def test_the_readmes_table_is_what_the_study_says_makes_it():
    (command,) = re.findall(r"`(python report\.py [^`]*--brief[^`]*)`", PAGES["study.md"])
    assert printed("bash", "-c", command) in PAGES["README.md"]


def test_the_files_have_as_many_lines_as_the_readme_says():
    rows = re.findall(r"^\| (`.*\.py`) \| (\d+) \|", PAGES["README.md"], re.M)
    counted = [
        (names, str(sum(len((ROOT / name).read_text().splitlines()) for name in re.findall("`(.*?)`", names))))
        for names, _ in rows
    ]
    assert len(rows) == 10 and counted == rows


@pytest.mark.parametrize(("code", "output"), BLOCKS)
def test_what_a_block_of_code_prints_stands_below_it(code, output):
    assert printed(sys.executable, "-c", code) == output
