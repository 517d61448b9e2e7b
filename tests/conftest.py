"""Hypothesis without a time limit an example (a busy machine is not a failure), and what many tests are given."""

import sys

import pytest
from hypothesis import settings

import loro

settings.register_profile("loro", deadline=None, max_examples=50)
settings.load_profile("loro")


@pytest.fixture
def command(monkeypatch, capsys):
    """`python loro.py ARGUMENTS`: (what it printed, what it said on stderr). What it refuses is raised.

    program: another module with a `main`."""

    def run(*arguments, program=loro):
        monkeypatch.setattr(sys, "argv", ["program", *map(str, arguments)])
        capsys.readouterr()
        program.main()
        return capsys.readouterr()

    return run


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """own_module(text) writes the module my_games.py into the working directory, a new one."""
    monkeypatch.chdir(tmp_path)
    yield (tmp_path / "my_games.py").write_text
    sys.modules.pop("my_games", None)


@pytest.fixture
def calls(monkeypatch):
    """calls(owner, name) -> a list that grows: the arguments of each call of that function from now on."""

    def watch(owner, name):
        made, function = [], getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given, **named: made.append(given) or function(*given, **named))
        return made

    return watch
