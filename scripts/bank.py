"""Compute how similar each gallery item of a split is to the unlabelled queries of a bank.

Reads: the split, the shards of the posterior on it and on the split of the bank, and the fitted temperatures if the
configuration uses them.
Computes: the offsets of `retrieval.bank`, in the directions of the split.
Writes: results/banks/{dataset}/{split}/{posterior}/{bank}.h5.
"""

from itertools import compress

from overtop.pipeline.job import Job, run
from overtop.retrieval.bank import bank_fingerprint, check_bank, compute_normalisations, draw_queries
from overtop.retrieval.normalisation import write_normalisations
from overtop.retrieval.provenance import embedding_provenance
from overtop.retrieval.temperature import load_temperatures
from overtop.storage.shards import open_posterior
from overtop.storage.split import read_split
from overtop.terms import Direction


def main(job: Job) -> None:
    """Compute the offsets of one posterior on one split."""
    spec, passes = job.params.spec, job.params.passes
    directions = read_split(job.input.split).directions
    temperatures = load_temperatures(job.params.temperature, job.input.temperatures)
    with (
        open_posterior(job.input.image, job.input.text, passes) as (images, texts),
        open_posterior(job.input.bank_image, job.input.bank_text, passes) as bank,
    ):
        # Classes are never queries, and are the same in every split.
        is_query = ["i2t" in directions, "t2i" in directions]
        check_bank([*compress(bank, is_query)], [*compress((images, texts), is_query)])
        bank_images, bank_texts = (draw_queries(source, spec["size"], spec["seed"]) for source in bank)
        softmax = {direction: temperatures[direction].softmax for direction in directions}
        normalisations = compute_normalisations(images, texts, bank_images, bank_texts, softmax)
        fingerprint = bank_fingerprint(spec, (bank_images, bank_texts), embedding_provenance(*bank))
    galleries: dict[Direction, list[str]] = {"t2i": images.item_ids, "i2t": texts.item_ids}
    counts = {"t2i": bank_texts.n_items, "i2t": bank_images.n_items}
    attributes = {**spec, "queries": counts, "fingerprint": fingerprint}
    write_normalisations(job.output[0], normalisations, galleries, attributes)


if __name__ == "__main__":
    run(main)
