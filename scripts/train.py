"""Train an encoder on a data set's train split: all weights, or the heads of locked towers on their features.

Reads: the train and val splits, and their images or features.
Computes: the trained weights, and Recall@1 on the val split for the log.
Writes: data/encoders/{encoder}.safetensors.
"""

from overtop.config.encoders import EncoderSpec
from overtop.device import default_device
from overtop.pipeline.job import Job, run
from overtop.progress import progress_bar
from overtop.storage.split import read_split
from overtop.training.contrastive import train_encoder
from overtop.training.features import read_trunk_features
from overtop.training.locked import train_heads


def main(job: Job) -> None:
    """Train one encoder."""
    name, spec = job.wildcards.encoder, EncoderSpec.model_validate(job.params.encoder)
    output, seed = job.output[0], job.params.seed
    splits = read_split(job.input.train), read_split(job.input.val)
    with progress_bar(f"train {name}", "step") as progress:
        if paths := job.input.get("features"):
            train_features, val_features = (
                read_trunk_features(path, spec.architecture, split) for path, split in zip(paths, splits, strict=True)
            )
            train_heads(name, spec, *splits, train_features, val_features, output, seed, progress=progress)
        else:
            train_encoder(name, spec, *splits, output, seed, default_device(), data=job.params.data, progress=progress)


if __name__ == "__main__":
    run(main)
