"""Measure a zero-shot classifier on images with several labels.

Reads: the split of a data set of classes, and the shards of the posterior on it.
Computes: mAP, and precision, recall and F1 of the three best classes, with intervals.
Writes: results/multilabel/{dataset}/{split}/{posterior}.csv, one row per measure.
"""

from overtop.config.evaluation import BootstrapSpec
from overtop.device import default_device
from overtop.evaluation.bootstrap import bootstrap_seed
from overtop.evaluation.multilabel import evaluate_multilabel
from overtop.pipeline.job import Job, run
from overtop.retrieval.predictions import label_matrix, model_temperature
from overtop.retrieval.similarities import mean_similarities
from overtop.storage.shards import open_posterior
from overtop.storage.split import read_split
from overtop.storage.tables import write_table


def main(job: Job) -> None:
    """Measure one posterior on one split."""
    names = {"dataset": job.wildcards.dataset, "split": job.wildcards.split, "posterior": job.wildcards.posterior}
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        labels = label_matrix(read_split(job.input.split), images.item_ids, texts.item_ids)
        similarity = mean_similarities(images, texts, default_device())
        temperature = model_temperature(images)
    spec = BootstrapSpec.model_validate(job.params.bootstrap)
    seed = bootstrap_seed(job.params.seed, names["dataset"], names["split"])
    measures = evaluate_multilabel(similarity, labels, temperature, spec, seed)
    write_table(job.output[0], measures.assign(**names))


if __name__ == "__main__":
    run(main)
