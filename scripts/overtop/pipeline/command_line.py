"""What can be told of a command `snakemake ...` before Snakemake reads a file: the first lines of the default profile.

Snakemake itself reports a mistake in YAML without its line, and takes targets after `--configfile` for such files.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from overtop.errors import OvertopError
from overtop.pipeline.config_files import CONFIG, OF_WORKFLOW, read_config_files

SUFFIXES = (".yaml", ".yml", ".json")
"""Of files of the configuration."""


def stop(error: OvertopError) -> NoReturn:
    """End this process with the lines of an error, without what Snakemake would add to them."""
    raise SystemExit("\n".join(f"overtop: {line}" for line in str(error).splitlines())) from error


def check_command() -> None:
    """Check the command line of this process, and end it with one line for each mistake."""
    try:
        check_arguments(sys.argv[1:])
    except OvertopError as error:
        stop(error)


def check_arguments(arguments: Sequence[str]) -> None:
    """Check what the arguments of `snakemake` say of the folder and the files of the configuration.

    Raises:
        OvertopError: there is no project in the folder, targets are given as files of the configuration, or these have
            mistakes in their YAML; one line each.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    parser.add_argument("--directory", "-d", type=Path, default=Path())
    parser.add_argument("--snakefile", "-s", type=Path)
    parser.add_argument("--replace-workflow-config", action="store_true")
    separator = arguments.index("--") if "--" in arguments else len(arguments)
    options, _ = parser.parse_known_args(arguments[:separator])
    _check_folder(options.directory, options.snakefile)
    targets = [name for name in options.configfile if _is_target(name)]
    if targets:
        files = [name for name in options.configfile if name not in targets]
        command = shlex.join(["snakemake", *targets, *(["--configfile", *files] if files else [])])
        raise OvertopError(
            f"{targets[0]}: is no file of the configuration, but stands after --configfile; write targets before it: "
            f"{command}"
        )
    read_config_files([*(options.directory / name for name in OF_WORKFLOW), *options.configfile])


def _check_folder(folder: Path, snakefile: Path | None) -> None:
    """Raise an error if the folder is not the root of the project, naming the root if it is known."""
    if (folder / CONFIG).is_file():
        return
    here = folder.resolve()
    start = here if snakefile is None else snakefile.resolve().parent
    root = next((path for path in (start, *start.parents) if (path / CONFIG).is_file()), None)
    advice = f"run it there: cd {shlex.quote(str(root))}" if root else "run snakemake in the root folder of the project"
    raise OvertopError(f"{here} has no {CONFIG}, and all paths are relative to the project; {advice}")


def _is_target(name: str) -> bool:
    """Whether a word after `--configfile` is none of its files."""
    if name.startswith(("results/", "data/")):  # where JSON files are results
        return not name.endswith((".yaml", ".yml"))
    return not Path(name).is_file() and not name.endswith(SUFFIXES)
