# Input and params functions of the rules in attacks.smk (the linter wants rules and functions in separate files).

from overtop.encoders.sampling import Sampling

# Files to be made by an attack of the optional package; filled while the DAG is built.
made_with_attack_library = set()


def view_shard(wildcards, view, sampling):
    """The shard of the same images in another view, clean (None) or under an attack, and in another sampling."""
    names = dict(wildcards) | {"sampling": sampling, "modality": "image"}
    pattern = paths.SHARD if view is None else paths.ATTACKED
    return pattern.format(**names | {"attack": view})


def attack_files(wildcards):
    """What an attack on one shard reads; a worst case reads the shards of its attacks instead of weights and images."""
    attack = look_up("attacks", wildcards)
    look_up_stored(wildcards)
    files = embed_files(wildcards)
    files["text"] = paths.deterministic_shards(
        settings, wildcards.dataset, wildcards.split, wildcards.encoder, "text"
    )
    if attack.kind == "worst":
        del files["checkpoint"], files["source"]
        for role, sampling in (
            ("judged", Sampling()),
            ("sampled", wildcards.sampling),
        ):
            files[role] = [
                view_shard(wildcards, view, sampling) for view in (None, *attack.of)
            ]
    elif attack.kind.startswith("apgd"):
        made_with_attack_library.add(
            view_shard(wildcards, wildcards.attack, wildcards.sampling)
        )
    return files


def perturb_files(wildcards):
    """What the first batch of a split is perturbed with."""
    attack = look_up("attacks", wildcards)
    if attack.kind == "worst":
        raise OvertopError(
            f"config.yaml: attacks.{wildcards.attack} is a worst case, which has no pixels of its own; "
            f"look at one of its attacks: {', '.join(attack.of)}"
        )
    files = embed_files(wildcards)
    files["text"] = paths.deterministic_shards(
        settings, wildcards.dataset, wildcards.split, wildcards.encoder, "text"
    )
    if attack.kind.startswith("apgd"):
        made_with_attack_library.add(paths.PERTURBED.format(**wildcards) + ".h5")
    return files


def attack_gpus(wildcards):
    """GPUs of an attack; a worst case runs no network."""
    return int(look_up("attacks", wildcards).kind != "worst")


def shard_count(wildcards):
    return look_up_stored(wildcards).shards


def check_attack_library():
    """Check that the optional package is installed if a missing file needs it."""
    missing = [file for file in made_with_attack_library if not Path(file).exists()]
    if not missing or not is_started_by_user():
        return
    from overtop.attacks.library import check_installed

    check_at_start(check_installed)
