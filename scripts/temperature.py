"""Fit the temperature of the softmax over the gallery on a validation split.

Reads: the split and the shards of a posterior. Writes: results/temperatures/{dataset}/{split}/{posterior}.json.
"""

from dataclasses import asdict

import numpy as np

from overtop.pipeline.job import Job, run
from overtop.retrieval.exact import rank
from overtop.retrieval.temperature_fit import GRID, fit, log_positives
from overtop.storage.files import write_json
from overtop.storage.shards import open_posterior
from overtop.storage.split import read_split
from overtop.terms import DIRECTIONS


def main(job: Job) -> None:
    """Fit one posterior, both directions."""
    split = read_split(job.input.split)
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        row = {name: number for number, name in enumerate(images.item_ids)}
        owner = dict(zip(split.caption_ids, split.image_of_caption, strict=True))
        image_of_text = np.array([row.get(split.image_ids[owner[name]], -1) for name in texts.item_ids])
        rankings = rank(images, texts, top=1, vote_top=1, temperatures=GRID)
        likelihood = log_positives(images, texts, image_of_text, rankings)
    fits = {direction: asdict(fit(rankings[direction], likelihood[direction])) for direction in DIRECTIONS}
    write_json(job.output[0], fits)


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
