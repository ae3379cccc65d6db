"""Folders in the forms of Hugging Face's library `datasets`, written without that library."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""Type of a column of images."""


def image_table(contents: Sequence[bytes | None], captions: Sequence[Any], names: Sequence[str | None]) -> pa.Table:
    """A table with the columns image, caption and id."""
    images = [{"bytes": content, "path": name} for content, name in zip(contents, names, strict=True)]
    columns = {"image": pa.array(images, IMAGE), "caption": pa.array(captions), "id": pa.array(range(len(images)))}
    return pa.table(columns)


def save_to_disk(folder: Path, table: pa.Table, files: int = 1) -> None:
    """Write what `Dataset.save_to_disk` writes: Arrow streams and `state.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data-{number:05d}-of-{files:05d}.arrow" for number in range(files)]
    rows = -(-len(table) // files)
    for number, name in enumerate(names):
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table.slice(number * rows, rows), max_chunksize=2)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text("{}")


def save_splits_to_disk(folder: Path, tables: Mapping[str, pa.Table]) -> None:
    """Write what `DatasetDict.save_to_disk` writes."""
    for name, table in tables.items():
        save_to_disk(folder / name, table)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(tables)}))


def save_on_hub(folder: Path, tables: Mapping[str, pa.Table]) -> None:
    """Write parquet files as a repository on the hub has them."""
    (folder / "data").mkdir(parents=True)
    for name, table in tables.items():
        pq.write_table(table, folder / "data" / f"{name}-00000-of-00001.parquet")


def write_image_folder(folder: Path, images: Mapping[str, bytes], rows: Sequence[Mapping[str, Any]], name: str) -> None:
    """Write images and a table of them, JSON lines or CSV, into a folder."""
    for image, content in images.items():
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).write_bytes(content)
    if name.endswith(".jsonl"):
        text = "\n".join(map(json.dumps, rows))
    else:
        text = "\n".join(",".join(map(str, row)) for row in [rows[0], *(row.values() for row in rows)])
    (folder / name).write_text(f"{text}\n")
