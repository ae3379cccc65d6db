# Input and params functions of the rules in statistics.smk (the linter wants rules and functions in separate files).


def deterministic_on_split(wildcards):
    """The manifest of a split, and the shards of one encoder on it without dropout."""
    look_up("encoders", wildcards)
    look_up_stored(wildcards)
    return split_and_shards(
        wildcards,
        lambda modality: paths.deterministic_shards(
            settings, wildcards.dataset, wildcards.split, wildcards.encoder, modality
        ),
    )


def table_sources(wildcards):
    """Data set, posterior and its kind, for each of a table's files in their order."""
    table = look_up("tables", wildcards)
    return [
        {"dataset": dataset, "posterior": name, "kind": settings.posteriors[name].kind}
        for dataset in table.datasets
        for name in table.posteriors
    ]


def table_benchmarks(wildcards):
    """The published results that apply to each data set of a table."""
    table = look_up("tables", wildcards)
    return {name: settings.datasets[name].benchmark for name in table.datasets}


def operating_files(wildcards):
    """Scores, ranking and manifest of both splits: where thresholds are chosen, and where they are applied."""
    files = {}
    for role, split in (("val", settings.operating.val), ("test", wildcards.split)):
        names = dict(wildcards) | {"split": split}
        files[f"{role}_scores"] = paths.SCORES.format(**names)
        files[f"{role}_ranking"] = paths.RANKING.format(**names)
        files[f"{role}_split"] = paths.SPLIT.format(**names)
    return files


def transfer_files(wildcards):
    """Scores and rankings of a study: on the labelled split, and on each data set."""
    spec = look_up("transfers", wildcards)
    posterior = spec.model.posterior
    labelled = {**plain(spec.model)}
    sides = (paths.SCORES, paths.RANKING)
    of_datasets = [
        paths.for_posteriors(side, spec.datasets, spec.split, [posterior])
        for side in sides
    ]
    return {
        "labelled": [side.format(**labelled) for side in sides],
        "scores": of_datasets[0],
        "rankings": of_datasets[1],
    }


def transfer_banks(wildcards):
    """Names of the banks of a study, empty without one: of the labelled split, and of each data set."""
    spec = look_up("transfers", wildcards)
    splits = [(spec.model.dataset, spec.model.split)]
    splits += [(name, spec.split) for name in spec.datasets]
    banks = (find_bank(settings, *each) for each in splits)
    return [bank.label if bank else "" for bank in banks]


def judgment_files(wildcards):
    """Names of the files with human judgments, by source."""
    files = look_up_stored(wildcards).judgment_files()
    if not files:
        raise OvertopError(
            f"config.yaml: datasets.{wildcards.dataset} has no human judgments; name their files under `judgments`"
        )
    return files


def cascade_files(wildcards):
    """Scores of both posteriors and rankings of the expensive one, on the test and val splits."""
    cascade = look_up("cascades", wildcards)
    files = {}
    for role, split in (("test", cascade.split), ("val", cascade.val)):
        names = {"dataset": cascade.dataset, "split": split}
        for which in ("cheap", "expensive"):
            posterior = getattr(cascade, which)
            files[f"{which}_{role}"] = paths.SCORES.format(**names, posterior=posterior)
        files[f"ranking_{role}"] = paths.RANKING.format(
            **names, posterior=cascade.expensive
        )
    return files


def thinning_figure(wildcards):
    """The declared figure of kind `thinning`."""
    figure = look_up("figures", wildcards)
    if figure.kind != "thinning":
        raise OvertopError(
            f"config.yaml: figures.{wildcards.figure} is not of kind thinning"
        )
    return figure


def thinning_files(wildcards):
    """Shards, ranking and scores of a figure's posterior, its scores on the labelled split, and fitted temperatures."""
    figure = thinning_figure(wildcards)
    names = {"dataset": figure.dataset, "posterior": figure.posterior}
    posterior = settings.posteriors[figure.posterior]
    files = {
        modality: paths.posterior_shards(
            settings, figure.dataset, figure.split, posterior, modality
        )
        for modality in MODALITIES
    }
    files["ranking"] = paths.RANKING.format(**names, split=figure.split)
    files["scores"] = paths.SCORES.format(**names, split=figure.split)
    files["labelled"] = (
        paths.SCORES.format(**names, split=figure.val) if figure.val else []
    )
    files["temperatures"] = fitted_temperatures(names)
    return files


def thinning_passes(wildcards):
    """The number of samples of the posterior that are used."""
    return settings.posteriors[thinning_figure(wildcards).posterior].passes


def ablation_files(wildcards):
    """The ranking of a split, and the shards of its posterior there and on the splits of its banks."""
    figure = look_up("figures", wildcards)
    if figure.kind != "bank":
        raise OvertopError(
            f"config.yaml: figures.{wildcards.figure} is not of kind bank"
        )
    bank = find_bank(settings, figure.dataset, figure.split)
    if bank is None:
        raise OvertopError(
            f"config.yaml: figures.{wildcards.figure}: {figure.dataset}/{figure.split} has no bank; declare one as "
            f"datasets.{figure.dataset}.bank"
        )
    splits = {
        "": (figure.dataset, figure.split),
        "bank_": (bank.dataset, bank.split),
    }
    if figure.foreign:
        splits["foreign_"] = (
            figure.foreign.dataset or figure.dataset,
            figure.foreign.split,
        )
    names = figure.model_dump(include={"dataset", "split", "posterior"})
    return {
        "manifest": paths.SPLIT.format(**names),
        "ranking": paths.RANKING.format(**names),
        **shards_of_roles(settings.posteriors[figure.posterior], splits),
    }


def ablation_temperatures(wildcards):
    """The file of the fitted temperatures of a figure's posterior; none if the configuration gives a number."""
    return fitted_temperatures(look_up("figures", wildcards))


def ablation_spec(wildcards):
    """What a figure of kind bank compares, with the declared bank and the number of passes of its posterior."""
    figure = look_up("figures", wildcards)
    bank = find_bank(settings, figure.dataset, figure.split)
    passes = settings.posteriors[figure.posterior].passes
    return {"figure": plain(figure), "bank": bank and bank._asdict(), "passes": passes}
