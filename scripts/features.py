"""Send one split through the locked towers of an architecture, once for all encoders whose heads are trained on it.

Reads: the split and its images. Writes: data/features/{dataset}/{split}/{architecture}.safetensors.
"""

from pathlib import Path

from tqdm import tqdm

from overtop.config.encoders import EncoderSpec
from overtop.device import default_device
from overtop.pipeline.job import Job, run
from overtop.storage.split import read_split
from overtop.training.locked import compute_trunk_features


def main(job: Job) -> None:
    """Features of one split."""
    words = job.wildcards
    split = read_split(job.input[0])
    spec = EncoderSpec.model_validate(
        {"architecture": words.architecture, "train": {"dataset": words.dataset, "towers": "locked"}}
    )
    total = len(split.image_ids) + len(split.captions)
    with tqdm(total=total, desc=f"features {words.architecture}", unit="item", disable=None) as bar:
        compute_trunk_features(
            words.architecture,
            spec,
            split,
            Path(job.input[0]).parents[2],
            job.output[0],
            default_device(),
            progress=bar.update,
        )


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
