# Input and params functions of the rules in encoders.smk (the linter wants rules and functions in separate files).


def train_files(wildcards):
    """The train and val splits of an encoder, and their features if only heads are trained."""
    encoder = look_up("encoders", wildcards)
    if encoder.train is None:
        raise WorkflowError(
            f"config.yaml: encoders.{wildcards.encoder} has pretrained weights and is not trained"
        )
    dataset, splits = encoder.train.dataset, ("train", "val")
    files = {s: paths.SPLIT.format(dataset=dataset, split=s) for s in splits}
    if encoder.train.towers == "locked":
        names = {"dataset": dataset, "architecture": encoder.architecture}
        files["features"] = [paths.FEATURES.format(**names, split=s) for s in splits]
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
