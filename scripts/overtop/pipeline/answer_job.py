"""The embeddings that a job of the rules `prepare` and `answer` reads, wherever they come from."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from overtop.downloads.mirror import resolve_in_mirror
from overtop.pipeline.job import Job
from overtop.retrieval.galleries import select_modality
from overtop.retrieval.provenance import encoder_label
from overtop.storage.embedding_files import open_embeddings
from overtop.storage.shards import EmbeddingSource, ShardSource, open_items
from overtop.storage.split import read_split


@contextmanager
def open_job_items(job: Job) -> Iterator[tuple[EmbeddingSource, str | None]]:
    """Open the gallery, or the queries, of a job: shards of a split, or a file or folder of embeddings.

    Yields:
        The items, and the label of their encoder (`encoder_label`), which is None if it is unknown.

    Raises:
        OvertopError: a file is missing, damaged, or has another format.
    """
    spec = job.params.source
    if "location" not in spec:
        with open_items(job.input.embeddings, job.params.passes) as shards:
            items = select_modality(read_split(job.input.split), spec["modality"], shards)
            yield items, encoder_label(shards)
        return
    path = resolve_in_mirror(spec["location"], job.config.get("mirror"), "answers")
    source = open_embeddings(path, modality=spec["modality"])
    if isinstance(source, ShardSource):
        with source:
            yield source, encoder_label(source)
    else:
        yield source, None


def names_of_texts(manifest: str | Path | None) -> dict[str, str]:
    """Return the text of each item that has no name but its number: classes, and rows of a table without ids.

    Args:
        manifest: of the split that the items are of; None or empty for embeddings from a file.
    """
    if not manifest:
        return {}
    split = read_split(manifest)
    if split.caption_ids != [str(number) for number in range(len(split.caption_ids))]:
        return {}
    return dict(zip(split.caption_ids, split.captions, strict=True))
