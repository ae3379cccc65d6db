"""Fit the temperature of the softmax over the gallery of one posterior.

Reads: the validation split and the shards of the posterior.
Computes: the temperature of the greatest likelihood of the labelled pairs, for each direction.
Writes: results/temperatures/{dataset}/{split}/{posterior}.json.
"""

from dataclasses import asdict

from overtop.pipeline.job import Job, run
from overtop.progress import progress_bar
from overtop.retrieval.temperature_fit import fit_temperatures
from overtop.storage.json_files import write_json
from overtop.storage.shards import open_posterior
from overtop.storage.split import read_split


def main(job: Job) -> None:
    """Fit the temperatures of one posterior."""
    with (
        open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts),
        progress_bar("temperature", "caption") as progress,
    ):
        fits = fit_temperatures(read_split(job.input.split), images, texts, progress=progress)
    write_json(job.output[0], {direction: asdict(fit) for direction, fit in fits.items()})


if __name__ == "__main__":
    run(main)
