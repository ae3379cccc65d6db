"""Files of a deployed search, and a runner of the command in the folder that contains them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from helpers.search_inputs import write_search
from overtop.cli.app import app


@pytest.fixture
def run(monkeypatch):
    """Run the command; return its output after checking that it succeeds."""
    monkeypatch.setenv("COLUMNS", "100")

    def run_command(*arguments):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    return run_command


@pytest.fixture
def fail(monkeypatch):
    """Run the command; return its message after checking that it fails with one line on stderr and nothing else."""
    monkeypatch.setenv("COLUMNS", "100")

    def run_command(*arguments):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert result.exit_code == 1, (result.output, result.exception)
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.stdout == ""
        assert result.stderr.startswith("overtop: ")
        assert result.stderr.count("\n") == 1, result.stderr
        return result.stderr

    return run_command


@pytest.fixture(scope="session")
def search_files(tmp_path_factory):
    """A folder with the files of `write_search`."""
    folder = tmp_path_factory.mktemp("search")
    write_search(folder)
    return folder


@pytest.fixture
def search(search_files, tmp_path, monkeypatch):
    """A working directory with these files; returns its path."""
    for path in search_files.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return Path(tmp_path)
