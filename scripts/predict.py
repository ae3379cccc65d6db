"""Predict the class of each image, and measure how probable the model calls it.

Reads: the split of a data set of classes, the shards of the posterior on it, and the fitted temperature if there is
one.
Computes: the softmax over the classes at the model's own temperature (`model`, if its shards state a logit scale), at
the fitted one (`fitted`) and at that of the Dirichlet distribution (`dirichlet`).
Writes: results/predictions/{dataset}/{split}/{posterior}.parquet, one row per image and kind of probability.
"""

import json

from overtop.pipeline.job import Job, run
from overtop.progress import progress_bar
from overtop.retrieval.predictions import model_temperature, predict_classes
from overtop.retrieval.provenance import embedding_provenance
from overtop.storage.json_files import read_json
from overtop.storage.shards import open_posterior
from overtop.storage.split import read_split
from overtop.storage.tables import write_table


def main(job: Job) -> None:
    """Predict the images of one posterior."""
    split = read_split(job.input.split)
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        temperatures: dict[str, float] = {}
        if own := model_temperature(images):
            temperatures["model"] = own
        if job.input.fit:
            temperatures["fitted"] = read_json(job.input.fit)["i2t"]["temperature"]
        temperatures["dirichlet"] = job.params.dirichlet
        with progress_bar("predict", "image") as progress:
            predictions = predict_classes(split, images, texts, temperatures, progress=progress)
        provenance = embedding_provenance(images, texts)
    write_table(job.output[0], predictions, {"provenance": json.dumps(provenance)})


if __name__ == "__main__":
    run(main)
