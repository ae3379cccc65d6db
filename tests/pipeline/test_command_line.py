"""What is checked of the command `snakemake ...` before Snakemake reads a file."""

import pytest

from overtop.errors import OvertopError
from overtop.pipeline.command_line import check_arguments


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "workflow").mkdir()
    for name in ("workflow/sources.yaml", "workflow/robustness.yaml", "config.yaml"):
        (tmp_path / name).write_text("a: 1\n")
    (tmp_path / "mine.yaml").write_text("a: 2\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mine.yaml").write_text("a: 2\n")
    (tmp_path / "data/demo.json").write_text("{}")
    (tmp_path / "twice.yaml").write_text("a: 1\na: 2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["results/tables/demo.csv", "--configfile", "mine.yaml"],
        ["--configfile", "mine.yaml", "--", "results/tables/demo.csv"],
        ["--configfile=mine.yaml", "results/tables/demo.csv"],
        ["--configfile", "mine.yaml", "-n", "--config", "mirror=x"],
        ["--configfile", "data/mine.yaml"],
        ["--snakefile", "workflow/Snakefile", "-n"],
    ],
)
def test_right_command_passes(root, arguments):
    check_arguments(arguments)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["-n", "--configfile", "mine.yaml", "results/tables/mine.csv", "demo"],
            "results/tables/mine.csv: is no file of the configuration, but stands after --configfile; write targets "
            "before it: snakemake results/tables/mine.csv demo --configfile mine.yaml",
        ),
        (["--configfile", "data/demo.json"], "data/demo.json: is no file of the configuration"),
        (["--configfile", "none.yaml"], "none.yaml: cannot be read (no such file or directory); correct its path"),
        (["--configfile", "twice.yaml"], "twice.yaml: line 2: a is already in line 1, and YAML"),
        (["--configfiles", "mine.yaml", "twice.yaml", "--cores", "1"], "twice.yaml: line 2: a is already in line 1"),
    ],
)
def test_wrong_command_is_one_line_with_its_fix(root, arguments, line):
    with pytest.raises(OvertopError) as caught:
        check_arguments(arguments)
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize("folder", ["workflow", "elsewhere"])
def test_other_folder_than_the_root_is_named_with_the_root(root, monkeypatch, folder):
    (root / folder).mkdir(exist_ok=True)
    monkeypatch.chdir(root / folder)
    with pytest.raises(OvertopError, match=rf"{folder} has no config\.yaml.*; run it there: cd {root}$"):
        check_arguments(["-s", str(root / "workflow" / "Snakefile"), "-n"])
    check_arguments(["-s", str(root / "workflow" / "Snakefile"), "--directory", str(root)])
