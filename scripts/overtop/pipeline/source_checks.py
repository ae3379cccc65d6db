"""Checks of the sources of data sets that a run would fetch, before its first job and in a dry run as well."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from overtop.config.model import Config
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import check_source, has_extended
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
    for line, target in [] if mistakes else _missing_extended(config, needed, context):
        mistakes.setdefault(f"{find_origin(files, line)}: {line}", target)
    if mistakes:
        raise OvertopError("\n".join(f"{line} (needed for {target})" for line, target in mistakes.items()))


def _missing_extended(
    config: Config, needed: Mapping[tuple[str, str], str], context: FetchContext
) -> Iterator[tuple[str, str]]:
    """One line, and a target, for each table of extended positives alone and data set without any."""
    targets = {name: target for (name, _), target in needed.items()}
    for table, spec in config.tables.items():
        for dataset in spec.datasets if set(spec.positives) == {"extended"} else ():
            base = config.base_of(dataset)
            if base in targets and not has_extended(base, config.stored_dataset(base), context):
                line = f"tables.{table}.positives: data set {dataset!r} has no extended positives; add `labelled`"
                yield line, targets[base]
