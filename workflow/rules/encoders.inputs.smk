# Input and params functions of the rules in encoders.smk (the linter wants rules and functions in separate files).
import re


def train_files(wildcards):
    """The train and val splits of an encoder's data sets, with their images, or features if only heads are trained."""
    encoder = look_up("encoders", wildcards)
    if encoder.train is None:
        raise OvertopError(
            f"config.yaml: encoders.{wildcards.encoder} has pretrained weights and is not trained"
        )
    files = {}
    for split in ("train", "val"):
        names = [{"dataset": d, "split": split} for d in encoder.train.datasets()]
        files[split] = [paths.SPLIT.format(**name) for name in names]
        if encoder.train.towers == "locked":
            features = paths.fill(paths.FEATURES, architecture=encoder.architecture)
            files[f"{split}_features"] = [features.format(**name) for name in names]
        else:
            files[f"{split}_sources"] = [
                paths.SOURCE.format(dataset=settings.base_of(d), split=split)
                for d in encoder.train.datasets()
            ]
    return files


def train_threads(wildcards):
    recipe = look_up("encoders", wildcards).train
    return recipe.threads if recipe else 1


def finetuned_encoders():
    """A pattern of the names of all fine-tuned encoders; without any it matches no name."""
    names = [name for name, spec in settings.encoders.items() if spec.finetune]
    return "|".join(map(re.escape, names)) or "(?!)"


def other_encoders():
    """The pattern of the names of all other encoders, whose files another rule makes."""
    return rf"(?!(?:{finetuned_encoders()})\.){NAME_PATTERN}"


def finetune_files(wildcards):
    """The train and val splits of a fine-tuned encoder with their images, and the weights of its base."""
    spec = look_up("encoders", wildcards).finetune
    base = settings.base_of(spec.dataset)
    files = {
        "train": paths.SPLIT.format(dataset=spec.dataset, split=spec.train),
        "train_source": paths.SOURCE.format(dataset=base, split=spec.train),
        "val": paths.SPLIT.format(dataset=spec.dataset, split=spec.val),
        "val_source": paths.SOURCE.format(dataset=base, split=spec.val),
    }
    return files | {"checkpoint": encoder_weights(spec.base)}


def finetune_base(wildcards):
    """The entry of the encoder that fine-tuning starts from."""
    base = look_up("encoders", wildcards).finetune.base
    return plain(settings.encoders[base])


def finetune_threads(wildcards):
    spec = look_up("encoders", wildcards).finetune
    return spec.threads * spec.gpus


def finetune_gpus(wildcards):
    return look_up("encoders", wildcards).finetune.gpus


def encoder_weights(name):
    """The file with the weights of an encoder, or the record of downloaded ones."""
    encoder = settings.encoders[name]
    if encoder.is_trained_here:
        return paths.CHECKPOINT.format(encoder=name)
    return (
        paths.WEIGHTS.format(encoder=name)
        if encoder.is_downloaded
        else encoder.checkpoint
    )


def downloaded_encoder(wildcards):
    """The entry of an encoder whose weights are downloaded."""
    encoder = look_up("encoders", wildcards)
    if not encoder.is_downloaded:
        raise OvertopError(
            f"config.yaml: encoders.{wildcards.encoder} has local weights, nothing to download"
        )
    return plain(encoder)


def embed_files(wildcards):
    """The manifest of a split, the record of its images, and the weights of an encoder."""
    look_up("encoders", wildcards)
    return {
        "split": paths.SPLIT.format(**wildcards),
        "source": source_record(wildcards),
        "checkpoint": encoder_weights(wildcards.encoder),
    }


def embed_threads(wildcards):
    """CPUs to decode images beside a GPU, or for the network; an encoder that is trained here from scratch is small."""
    return 1 if look_up("encoders", wildcards).train else 8


def embed_on_error(wildcards):
    """What to do with unreadable images."""
    return look_up_stored(wildcards).on_error
