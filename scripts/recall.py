"""Compare the recall of one encoder with published values.

Reads: the split, and the shards of the encoder without dropout.
Computes: an exact ranking and R@k in both directions.
Writes: results/recall/{dataset}/{split}/{encoder}.csv, one row per direction and k.
"""

from overtop.config.encoders import EncoderSpec
from overtop.evaluation.recall import RECALL_COLUMNS, RECALL_KS, check_recall
from overtop.pipeline.job import Job, run
from overtop.reference.benchmarks import BENCHMARK_SPLIT
from overtop.retrieval.exact import rank
from overtop.storage.shards import open_posterior
from overtop.storage.split import read_split
from overtop.storage.tables import write_table


def main(job: Job) -> None:
    """Compare the recall of one encoder on one split."""
    wildcards, encoder = job.wildcards, EncoderSpec.model_validate(job.params.encoder)
    with open_posterior(job.input.image, job.input.text) as (images, texts):
        rankings = rank(images, texts, top=max(RECALL_KS), vote_top=1)
    benchmark = job.params.benchmark if wildcards.split == BENCHMARK_SPLIT else None
    recall = check_recall(read_split(job.input.split), rankings, encoder.architecture, encoder.tag, benchmark)
    names = {"dataset": wildcards.dataset, "split": wildcards.split, "encoder": wildcards.encoder}
    write_table(job.output[0], recall.assign(**names)[RECALL_COLUMNS])


if __name__ == "__main__":
    run(main)
