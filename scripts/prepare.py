"""Prepare the gallery of an answer, so that new queries can be ranked against it at once.

Reads: the shards of the gallery with the manifest of their split, or a file or folder of embeddings; the shards of the
queries of the bank, if the confidence model may need one; the fitted temperatures if the configuration uses them.
Writes: the folder results/galleries/{answer}.
"""

from overtop.confidence.galleries import check_encoder, place
from overtop.pipeline.answer_job import open_job_items
from overtop.pipeline.job import Job, run
from overtop.retrieval.bank import draw_queries
from overtop.retrieval.galleries import select_gallery
from overtop.retrieval.groups import declare_groups
from overtop.retrieval.prepared import prepare_gallery
from overtop.retrieval.provenance import encoder_label
from overtop.retrieval.temperature import load_temperatures
from overtop.storage.shards import EmbeddingSource, open_items
from overtop.storage.split import read_split


def main(job: Job) -> None:
    """Prepare the gallery of one answer."""
    spec, passes = job.params.bank, job.params.passes
    with open_job_items(job) as (source, encoder):
        if spec is None:
            write_gallery(job, source, encoder)
            return
        with open_items(job.input.bank, passes) as bank:
            with place("bank"):
                check_encoder(encoder, encoder_label(bank))
            write_gallery(job, source, encoder, draw_queries(bank, spec["size"], spec["seed"]))


def write_gallery(job: Job, source: EmbeddingSource, encoder: str | None, bank: EmbeddingSource | None = None) -> None:
    """Prepare the items of a source that are in the gallery, with their groups."""
    direction, spec = job.params.direction, job.params.bank
    gallery, groups = source, None
    if job.input.split:
        split = read_split(job.input.split)
        gallery = select_gallery(split, direction, source)
        groups = declare_groups(split, direction, gallery.item_ids)
    prepare_gallery(
        gallery,
        job.output[0],
        groups=groups,
        bank=bank,
        bank_facts=None if bank is None else {"label": spec["label"]},
        temperature=load_temperatures(job.params.temperature, job.input.temperatures)[direction].softmax,
        encoder=encoder,
    )


if __name__ == "__main__":
    run(main)
