"""What the job of each rule asks of a cluster: memory and run time, more with every attempt."""

from collections.abc import Callable
from typing import Any, NamedTuple

MANY_CORES = 1024
"""Cores where those of the machine that Snakemake runs on do not count: as many as any rule has threads."""


class Need(NamedTuple):
    """Memory in MB and run time in minutes of a job's first attempt."""

    mem_mb: int
    runtime: int


NEEDS = {
    "split": Need(4000, 30),
    "import_embeddings": Need(4000, 60),
    "features": Need(8000, 240),
    "train": Need(8000, 240),
    "finetune": Need(16000, 1440),
    "embed": Need(12000, 240),
    "attack": Need(8000, 480),
    "perturb": Need(8000, 60),
    "adapt": Need(6000, 360),
    "spread": Need(4000, 30),
    "temperature": Need(8000, 60),
    "bank": Need(8000, 60),
    "rank": Need(4000, 30),
    "rank_slice": Need(8000, 240),
    "merge_rankings": Need(8000, 60),
    "radius": Need(4000, 120),
    "score": Need(2000, 10),
    "evaluate": Need(2000, 10),
    "recall": Need(4000, 30),
    "compare": Need(8000, 60),
    "operate": Need(2000, 30),
    "transfer": Need(8000, 60),
    "judge": Need(2000, 30),
    "cascade": Need(4000, 30),
    "thinning": Need(8000, 120),
    "ablate_bank": Need(8000, 120),
    "predict": Need(4000, 30),
    "multilabel": Need(4000, 30),
    "calibrate": Need(4000, 60),
    "prepare": Need(8000, 60),
    "answer": Need(8000, 60),
    "robustness": Need(8000, 60),
    "attack_effects": Need(8000, 240),
    "view_calibration": Need(8000, 240),
    "report": Need(8000, 60),
}
"""The need of each submitted rule on COCO (113,287 images to train on; 5,000 images and 25,000 captions, 50 samples).

About twice what was measured there, and 400 MB for the Snakemake within the job. Memory does not depend on the size of
the gallery where it is read in blocks (rank, radius, score, answer); it grows with the training set in adapt, and with
the network and its batch in embed, train, finetune and attack. Run time grows with the number of samples, and of rank,
radius, bank and temperature with the product of queries and gallery.
"""


def request(rule: str) -> dict[str, Callable[[Any, int], int]]:
    """The resources of a rule, as functions of wildcards and attempt: `**request("rank")` among its resources.

    A job that was killed for memory or time asks for twice as much in its second attempt, and three times in its third.
    """

    def mem_mb(wildcards: Any, attempt: int) -> int:
        return NEEDS[rule].mem_mb * attempt

    def runtime(wildcards: Any, attempt: int) -> int:
        return NEEDS[rule].runtime * attempt

    return {"mem_mb": mem_mb, "runtime": runtime}
