"""`overtop init`: a file of entries for a folder of the user."""

import os
import re
from pathlib import Path

from overtop.cli.entries import Plan, format_entries
from overtop.cli.report import print_lines
from overtop.config.base import NAME_PATTERN
from overtop.datasets.discovery import discover, find_queries
from overtop.datasets.found import Found
from overtop.encoders.image_files import decode_image
from overtop.errors import OvertopError
from overtop.labels import format_count
from overtop.storage.files import write_text

SAMPLE = 200
"""Images that are decoded, evenly spaced."""

NAMED = 3
"""Unreadable images that are named."""


def init(path: Path, name: str, output: Path | None) -> None:
    """Look at a folder or a file, write the entries that evaluate it, and print the next command."""
    if re.fullmatch(NAME_PATTERN, name) is None:
        raise OvertopError(f"--name {name}: use letters, digits, `_`, `.` and `-`")
    target = Path(f"{name}.yaml") if output is None else output
    if target.exists():
        raise OvertopError(f"{target} exists; remove it, or name another file: -o FILE")
    if not target.absolute().parent.is_dir():
        raise OvertopError(f"-o {target}: the folder {target.parent} does not exist; create it")
    path = Path(os.path.abspath(path))
    found = discover(path)
    queries = find_queries(path) if path.is_dir() else None
    facts, has_unreadable = _check_images(found)
    if found.content == "images":
        raise OvertopError(_describe_images_alone(path, found, queries))
    plan = Plan(name, found, [*found.facts, *facts], has_unreadable, queries)
    write_text(target, format_entries(plan, target))
    print_lines([f"overtop: found in {path}:", *(f"- {line}" for line in plan.facts)])
    print_lines([f"overtop: wrote {target}, with what was found as comments. Look at it, then run"])
    print(f"  snakemake --configfile {target}")


def _check_images(found: Found) -> tuple[list[str], bool]:
    """What decoding a sample of the images shows, and whether some are unreadable."""
    files = found.image_files
    sample = files[:: -(-len(files) // SAMPLE)] if files else []
    unreadable = []
    for file in sample:
        try:
            decode_image(file)
        except OvertopError:
            unreadable.append(file.name)
    if not sample:
        return [], False
    looked_at = "all" if len(sample) == len(files) else f"a sample of {len(sample)}"
    if not unreadable:
        return [f"every image of {looked_at} can be read" if looked_at != "all" else "every image can be read"], False
    some = ", ".join(unreadable[:NAMED]) + (", ..." if len(unreadable) > NAMED else "")
    return [f"{format_count(len(unreadable), 'image')} of {looked_at} cannot be read: {some}"], True


def _describe_images_alone(path: Path, found: Found, queries: Path | None) -> str:
    file = queries or "queries.txt"
    return (
        f"{path}: {format_count(found.n_images, 'image')}, no captions: nothing can be measured or promised. Write "
        "captions.csv beside them, with the columns image and caption (a hundred captions are a start, others may be "
        f"empty), and run this again. To rank the images without a promise: overtop trust --gallery {path} --queries "
        f"{file} --model ViT-B-32 --weights openai --coverage 0.5 -o answers.csv"
    )
