"""Hold the recall of one encoder against what was published for it.

Reads: the split, and the shards of the encoder without dropout.
Writes: results/recall/{dataset}/{split}/{encoder}.csv, a row per direction and k.
"""

from overtop.config.encoders import EncoderSpec
from overtop.evaluation.recall import KS, recall_check
from overtop.pipeline.job import Job, run
from overtop.reference import SPLIT
from overtop.reference.recalls import RECALL_COLUMNS
from overtop.retrieval.exact import rank
from overtop.storage.files import write_table
from overtop.storage.shards import open_posterior
from overtop.storage.split import read_split


def main(job: Job) -> None:
    """Rank once, exactly, and compare."""
    words, encoder = job.wildcards, EncoderSpec.model_validate(job.params.encoder)
    with open_posterior(job.input.image, job.input.text) as (images, texts):
        rankings = rank(images, texts, top=max(KS), vote_top=1)
    benchmark = job.params.benchmark if words.split == SPLIT else None
    found = recall_check(read_split(job.input.split), rankings, encoder.architecture, encoder.tag, benchmark)
    names = {"dataset": words.dataset, "split": words.split, "encoder": words.encoder}
    write_table(job.output[0], found.assign(**names)[RECALL_COLUMNS])


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
