# Input and params functions of the rules in retrieval.smk (the linter wants rules and functions in separate files).

NO_NAME = r"(?!)"
"""A pattern that matches no name."""


def ranking_inputs(wildcards):
    """The manifest of a split and the shards of a posterior; deleted shards are made again."""
    files = posterior_on_split(wildcards)
    if Path(paths.RANKING.format(**wildcards)).exists():
        shards = [path for modality in MODALITIES for path in files[modality]]
        remake_deleted(path for path in shards if not Path(path).exists())
    return files


def slices_to_merge(wildcards):
    """What `rank` reads, and the slices of the gallery."""
    count = settings.ranking.slices[wildcards.dataset]
    slices = [
        paths.RANKING_SLICE.format(**wildcards, slice=number, slices=count)
        for number in range(count)
    ]
    return {**ranking_inputs(wildcards), "slices": slices}


def bank_inputs(wildcards):
    """The manifest of a split, and the shards of a posterior on it and on the split of its bank."""
    bank = find_bank(settings, wildcards.dataset, wildcards.split)
    if bank is None or bank.path_name(wildcards.dataset) != wildcards.bank:
        raise OvertopError(
            f"config.yaml: {wildcards.bank!r} is not the bank of {wildcards.dataset}/{wildcards.split}; declare it "
            f"as datasets.{wildcards.dataset}.bank"
        )
    posterior = look_up("posteriors", wildcards)
    # Images under an attack are compared with a bank of clean ones.
    clean = settings.posteriors[wildcards.posterior.partition("@")[0]]
    ranked = {"": (wildcards.dataset, wildcards.split)}
    return {
        "split": paths.SPLIT.format(**wildcards),
        **shards_of_roles(posterior, ranked),
        **shards_of_roles(clean, {"bank_": (bank.dataset, bank.split)}),
    }


def shards_of_roles(posterior, splits):
    """The shards of a posterior on several splits; `splits` has data set and split by prefix of the input's name."""
    return {
        f"{prefix}{modality}": paths.posterior_shards(
            settings, dataset, split, posterior, modality
        )
        for prefix, (dataset, split) in splits.items()
        for modality in MODALITIES
    }


def bank_spec(wildcards):
    """The bank that the queries of a split are ranked with, as plain values; None if there is none."""
    bank = find_bank(settings, wildcards.dataset, wildcards.split)
    return bank and bank.as_params()


def bank_if_declared(wildcards):
    """The offsets of the gallery by the bank of a split, if there is one; a variant has those of its base."""
    bank = find_bank(settings, wildcards.dataset, wildcards.split)
    if bank is None:
        return []
    base = settings.base_of(wildcards.dataset)
    names = dict(wildcards) | {"dataset": base, "bank": bank.path_name(base)}
    return paths.BANK.format(**names)


def remake_deleted(files):
    """Add deleted intermediate files to the jobs that must run, and with them everything downstream.

    Snakemake does not make a missing intermediate file again as long as what was made from it exists
    (https://github.com/snakemake/snakemake/issues/1978), and `--forcerun` would make the files targets even if
    the run does not need them. Hence this one use of a private attribute: rules that are forced in this DAG.
    """
    if workflow.dag is not None:  # no DAG is built for a script that is run by hand
        workflow.dag.forcefiles.update(files)


def radii_if_used(wildcards):
    """The radii of a posterior, if an estimator needs them: they take longer than the ranking."""
    is_used = any("radius" in get_estimator(name).needs for name in settings.estimators)
    return paths.RADII.format(**wildcards) if is_used else []


def spread_if_adapted(wildcards):
    """The predicted variances of a posterior, if it has an adapter."""
    adapter = look_up("posteriors", wildcards).adapter
    if adapter is None:
        return []
    names = dict(wildcards) | {"dataset": settings.base_of(wildcards.dataset)}
    return paths.SPREAD.format(**names)
