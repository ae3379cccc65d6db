"""Train an encoder on the train splits of its data sets: all weights, or the heads of locked towers on their features.

Reads: the train and val splits, and their images or features.
Computes: the trained weights, and Recall@1 on the val splits for the log.
Writes: data/encoders/{encoder}.safetensors.
"""

from overtop.config.encoders import EncoderSpec
from overtop.device import default_device
from overtop.pipeline.job import Job, run
from overtop.pipeline.raw_files import ensure_files
from overtop.progress import progress_bar
from overtop.storage.split import Split, read_split
from overtop.training.contrastive import train_encoder
from overtop.training.features import TrunkFeatures, read_trunk_features
from overtop.training.locked import train_heads


def main(job: Job) -> None:
    """Train one encoder."""
    name, spec = job.wildcards.encoder, EncoderSpec.model_validate(job.params.encoder)
    output, seed = job.output[0], job.params.seed
    train, val = ([read_split(path) for path in paths] for paths in (job.input.train, job.input.val))
    with progress_bar(f"train {name}", "step") as progress:
        if spec.train is not None and spec.train.towers == "locked":
            train_features = read_features(job.input.train_features, train, spec.architecture)
            val_features = read_features(job.input.val_features, val, spec.architecture)
            train_heads(name, spec, train, val, train_features, val_features, output, seed, progress=progress)
        else:
            for split, record in zip([*train, *val], [*job.input.train_sources, *job.input.val_sources], strict=True):
                ensure_files(job, record, split.image_paths)
            train_encoder(
                name, spec, train, val, output, seed, default_device(), data=job.params.data, progress=progress
            )


def read_features(paths: list[str], splits: list[Split], architecture: str) -> list[TrunkFeatures]:
    """The features of each split."""
    return [read_trunk_features(path, architecture, split) for path, split in zip(paths, splits, strict=True)]


if __name__ == "__main__":
    run(main)
