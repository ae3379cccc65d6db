"""Hold the recall of one encoder against what was published for it.

Reads: the split, and the shards of the encoder without dropout.
Writes: results/recall/{dataset}/{split}/{encoder}.csv, a row per direction and k.
"""

from overtop.datasets.manifest import read_split
from overtop.encoders.spec import EncoderSpec
from overtop.evaluation.published import KS, recall_check
from overtop.files import write_table
from overtop.job import Job, run
from overtop.ranking import rank
from overtop.reference import RECALL_COLUMNS, SPLIT
from overtop.store import open_posterior


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
