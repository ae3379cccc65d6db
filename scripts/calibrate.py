"""Fit the confidence models of one posterior on a labelled split: the probability of a hit, and thresholds.

Reads: the split, and the ranking of the posterior on it; its shards there and on the split of its bank, for the
fingerprints of gallery and bank; the fitted temperatures if the configuration uses them.
Writes: results/confidence/{dataset}/{split}/{posterior}.json, with one model per direction.
"""

from collections.abc import Mapping
from typing import Any

from overtop.confidence.model import ModelFacts, write_models
from overtop.confidence.split_models import fit_split_models
from overtop.estimators.inputs import EstimatorInputs
from overtop.pipeline.job import Job, run
from overtop.retrieval.bank import draw_queries
from overtop.retrieval.galleries import split_retrievals
from overtop.retrieval.prepared import describe_bank, fingerprint_embeddings
from overtop.retrieval.provenance import embedding_provenance, encoder_label
from overtop.retrieval.ranking import count_groups, read_ranking
from overtop.retrieval.sources import queries_and_gallery
from overtop.retrieval.temperature import load_temperatures
from overtop.storage.shards import ShardSource, open_posterior
from overtop.storage.split import Split, read_split
from overtop.terms import Direction


def main(job: Job) -> None:
    """Fit and write the confidence models of one posterior on one split."""
    params = job.params
    split = read_split(job.input.split)
    rankings, _ = read_ranking(job.input.ranking)
    temperatures = load_temperatures(params.temperature, job.input.temperatures)
    inputs = {d: EstimatorInputs(ranking, temperatures=temperatures[d]) for d, ranking in rankings.items()}
    models = fit_split_models(
        split,
        inputs,
        params.candidates,
        find_facts(job, split, inputs),
        precisions=params.precisions,
        confidence=params.confidence,
        mapping=params.mapping,
        seed=params.seed,
    )
    write_models(job.output[0], models)


def find_facts(job: Job, split: Split, inputs: Mapping[Direction, EstimatorInputs]) -> dict[Direction, ModelFacts]:
    """What the labelled queries of each direction were ranked with."""
    banks = find_banks(job)
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        names = {key: getattr(job.wildcards, key) for key in ("dataset", "split", "posterior")}
        provenance = names | embedding_provenance(images, texts)
        facts: dict[Direction, ModelFacts] = {}
        for retrieval in split_retrievals(split, images, texts):
            for direction in retrieval.directions:
                _, gallery = queries_and_gallery(direction, retrieval.images, retrieval.texts)
                facts[direction] = ModelFacts(
                    gallery_size=gallery.n_items,
                    gallery_fingerprint=fingerprint_embeddings(gallery),
                    gallery_groups=count_groups(inputs[direction].ranking.item_groups),
                    encoder=encoder_label(texts),
                    dims=gallery.dims,
                    bank=banks.get(direction),
                    temperature=inputs[direction].temperatures.softmax,
                    provenance=provenance,
                )
    return facts


def find_banks(job: Job) -> dict[Direction, dict[str, Any]]:
    """Facts of the bank of each direction, as a gallery that is prepared with it has them."""
    spec = job.params.bank
    if spec is None:
        return {}
    with open_posterior(job.input.bank_image, job.input.bank_text, job.params.passes) as (images, texts):
        queries: dict[Direction, ShardSource] = {"t2i": texts, "i2t": images}
        return {
            direction: describe_bank(draw_queries(source, spec["size"], spec["seed"]), label=spec["label"])
            for direction, source in queries.items()
        }


if __name__ == "__main__":
    run(main)
