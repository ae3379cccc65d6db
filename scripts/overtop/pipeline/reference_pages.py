"""What is generated from the code: the editor's schema of config.yaml, and tables of the documentation."""

from collections.abc import Callable
from pathlib import Path

from overtop.errors import OvertopError
from overtop.estimators.registry import estimators_table
from overtop.pipeline.column_tables import column_tables
from overtop.pipeline.key_tables import configuration_keys
from overtop.pipeline.loading import editor_schema
from overtop.storage.files import write_text
from overtop.training.objectives import objectives_table

SCHEMA = "workflow/schemas/config.schema.json"


def write_generated(root: Path) -> None:
    """Write everything that is generated, in the project at `root`."""
    write_text(root / SCHEMA, editor_schema())
    for page in {page for page, _ in GENERATED}:
        write_text(root / page, fill_page(page, (root / page).read_text(encoding="utf-8")))


def fill_page(page: str, text: str) -> str:
    """The text of a page with its generated parts, which are between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.

    Args:
        page: path of the page inside the project.
        text: its text.

    Raises:
        OvertopError: a mark is missing.
    """
    for (of_page, name), generate in GENERATED.items():
        if of_page != page:
            continue
        begin, end = (f"<!-- {name}: {side} -->" for side in ("begin", "end"))
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if not (found_begin and found_end):
            raise OvertopError(f"{page}: {begin} ... {end} is missing; add the two lines where the table belongs")
        text = f"{before}{begin}\n{generate().strip()}\n{end}{after}"
    return text


GENERATED: dict[tuple[str, str], Callable[[], str]] = {
    ("docs/configuration.md", "keys"): configuration_keys,
    ("docs/columns.md", "columns"): column_tables,
    ("docs/estimators.md", "estimators"): estimators_table,
    ("docs/robustness.md", "objectives"): objectives_table,
}
"""Page and name of each generated part, and what writes it."""
