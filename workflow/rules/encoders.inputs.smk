# Input and params functions of the rules in encoders.smk (the linter wants rules and functions in separate files).


def train_files(wildcards):
    """The train and val splits of an encoder's data sets, and their features if only heads are trained."""
    encoder = look_up("encoders", wildcards)
    if encoder.train is None:
        raise WorkflowError(
            f"config.yaml: encoders.{wildcards.encoder} has pretrained weights and is not trained"
        )
    files = {}
    for split in ("train", "val"):
        names = [{"dataset": d, "split": split} for d in encoder.train.datasets()]
        files[split] = [paths.SPLIT.format(**name) for name in names]
        if encoder.train.towers == "locked":
            features = paths.fill(paths.FEATURES, architecture=encoder.architecture)
            files[f"{split}_features"] = [features.format(**name) for name in names]
    return files


def train_threads(wildcards):
    recipe = look_up("encoders", wildcards).train
    return recipe.threads if recipe else 1


def downloaded_encoder(wildcards):
    """The entry of an encoder whose weights are downloaded."""
    encoder = look_up("encoders", wildcards)
    if not encoder.is_downloaded:
        raise WorkflowError(
            f"config.yaml: encoders.{wildcards.encoder} has local weights, nothing to download"
        )
    return plain(encoder)


def embed_files(wildcards):
    """The manifest of a split, and the weights of an encoder."""
    encoder = look_up("encoders", wildcards)
    if encoder.is_trained_here:
        file = paths.CHECKPOINT.format(**wildcards)
    elif encoder.is_downloaded:
        file = paths.WEIGHTS.format(**wildcards)
    else:
        file = encoder.checkpoint
    return {"split": paths.SPLIT.format(**wildcards), "checkpoint": file}


def batch_size(wildcards):
    return getattr(settings.embedding.batch_size, wildcards.modality)


def embed_on_error(wildcards):
    """What to do with unreadable items; captions cannot be unreadable."""
    is_image = wildcards.modality == "image"
    on_error = look_up_stored(wildcards).on_error
    return on_error if is_image else "fail"
