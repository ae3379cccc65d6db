"""Checks of the sources of data sets that a run would fetch, before its first job and in a dry run as well."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from overtop.config.model import Config
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import check_source
from overtop.errors import OvertopError
from overtop.pipeline.config_files import ConfigFile, find_origin
from overtop.pipeline.paths import DATA


def check_sources(config: Config, needed: Mapping[tuple[str, str], str], files: Sequence[ConfigFile] = ()) -> None:
    """Check that splits can be fetched, as far as their sources are on this machine.

    Args:
        config: the configuration.
        needed: for each data set and split a target that needs it.
        files: the files of the configuration, for messages.

    Raises:
        OvertopError: sources or splits do not exist; one line each.
    """
    context = FetchContext(config.mirror, config.seed, Path(DATA), config.sources)
    mistakes: dict[str, str] = {}
    for (name, split), target in sorted(needed.items()):
        try:
            check_source(name, config.stored_dataset(name), split, context)
        except OvertopError as error:
            line = str(error)
            place = f"{find_origin(files, line)}: " if line.startswith("datasets.") else ""
            mistakes.setdefault(f"{place}{line}", target)
    if mistakes:
        raise OvertopError("\n".join(f"{line} (needed for {target})" for line, target in mistakes.items()))
