"""Run one split through the locked towers of an architecture, once for all encoders whose heads are trained on it.

Reads: the split and its images.
Computes: the outputs of both towers before their heads.
Writes: data/features/{dataset}/{split}/{architecture}.safetensors.
"""

from overtop.config.encoders import EncoderSpec
from overtop.device import default_device
from overtop.pipeline.job import Job, run
from overtop.pipeline.raw_files import ensure_files
from overtop.progress import progress_bar
from overtop.storage.split import read_split
from overtop.training.features import write_trunk_features
from overtop.training.locked import compute_trunk_features


def main(job: Job) -> None:
    """Compute and write the features of one split."""
    architecture = job.wildcards.architecture
    split = read_split(job.input.split)
    ensure_files(job, job.input.source, split.image_paths)
    spec = EncoderSpec.model_validate(
        {"architecture": architecture, "train": {"dataset": job.wildcards.dataset, "towers": "locked"}}
    )
    with progress_bar(f"features {architecture}", "item") as progress:
        features = compute_trunk_features(
            architecture, spec, split, default_device(), data=job.params.data, progress=progress
        )
    write_trunk_features(job.output[0], features, architecture, split)


if __name__ == "__main__":
    run(main)
