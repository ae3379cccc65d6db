"""Compute how similar each gallery item of a split is to the unlabelled queries of a bank.

Reads: the shards of the posterior on the split and on the split of the bank, and the fitted temperatures if the
configuration uses them.
Computes: the offsets of `retrieval.bank`, in both directions.
Writes: results/banks/{dataset}/{split}/{posterior}/{bank}.h5.
"""

from overtop.pipeline.job import Job, run
from overtop.retrieval.bank import bank_fingerprint, check_bank, compute_normalisations, draw_queries
from overtop.retrieval.normalisation import write_normalisations
from overtop.retrieval.provenance import embedding_provenance
from overtop.retrieval.temperature import load_temperatures
from overtop.storage.shards import open_posterior
from overtop.terms import Direction


def main(job: Job) -> None:
    """Compute the offsets of one posterior on one split."""
    spec, passes = job.params.spec, job.params.passes
    temperatures = load_temperatures(job.params.temperature, job.input.temperatures)
    with (
        open_posterior(job.input.image, job.input.text, passes) as (images, texts),
        open_posterior(job.input.bank_image, job.input.bank_text, passes) as bank,
    ):
        check_bank(bank, (images, texts))
        bank_images, bank_texts = (draw_queries(source, spec["size"], spec["seed"]) for source in bank)
        normalisations = compute_normalisations(
            images, texts, bank_images, bank_texts, {direction: t.softmax for direction, t in temperatures.items()}
        )
        fingerprint = bank_fingerprint(spec, (bank_images, bank_texts), embedding_provenance(*bank))
    galleries: dict[Direction, list[str]] = {"t2i": images.item_ids, "i2t": texts.item_ids}
    counts = {"t2i": bank_texts.n_items, "i2t": bank_images.n_items}
    attributes = {**spec, "queries": counts, "fingerprint": fingerprint}
    write_normalisations(job.output[0], normalisations, galleries, attributes)


if __name__ == "__main__":
    run(main)
