# Input and params functions of the rules in data.smk (the linter wants rules and functions in separate files).

# Keys of a data set that change neither the files of a split nor its manifest.
ONLY_LATER = {"shards", "benchmark", "bank"}


def fetch_spec(wildcards):
    """The keys of a data set that decide which files are fetched."""
    spec = look_up_stored(wildcards)
    excluded = ONLY_LATER | {
        "captions_per_image",
        "expect",
        "extended",
        "templates",
    }
    if spec.kind != "karpathy":
        excluded.add(
            "on_error"
        )  # only there it decides whether a missing image is an error
    if not spec.held_out_splits() and spec.kind != "classes":
        excluded.add("held_out")
    if not getattr(spec, "split", None):
        excluded.add("split")
    return spec.model_dump(mode="json", exclude=excluded)


def fetched_from(wildcards):
    """The table or the folders that a derived data set is fetched from: a change of these reruns the rule.

    The sources of declared data sets are no inputs: their results remain when the source moves or goes away.
    """
    derived = answers.derived_from(settings, wildcards.dataset)
    if derived is None:
        return []
    source = locate(*derived)
    if source.is_file():
        return source
    return [source, *sorted(path for path in source.rglob("*") if path.is_dir())]


def fetch_sources(wildcards):
    """The sources that a data set can be downloaded from."""
    names = look_up_stored(wildcards).source_names()
    return {name: plain(settings.sources[name]) for name in names}


def split_source(wildcards):
    """The record of the raw files of a split; for a variant the manifest of its base."""
    spec = look_up("datasets", wildcards)
    if spec.kind == "variant":
        return paths.SPLIT.format(dataset=spec.of, split=wildcards.split)
    return source_record(wildcards)


def imported_on_error(wildcards):
    """What to do with embeddings that are not finite."""
    return look_up_stored(wildcards).on_error


def split_spec(wildcards):
    """The keys of a data set that decide its manifest."""
    spec = look_up("datasets", wildcards)
    excluded = ONLY_LATER | {"on_error", "judgments", "routes"}
    if spec.kind != "classes":
        excluded |= {"held_out", "split"}  # recorded in the raw folder
    elif spec.split is None:
        excluded.add("split")
    if spec.kind == "variant" and spec.images is None:
        excluded.add("images")
    return spec.model_dump(mode="json", exclude=excluded)


def prefetch_files(wildcards):
    """Records of everything that a table downloads: splits and weights."""
    table = look_up("tables", wildcards)
    posteriors = [settings.posteriors[name] for name in table.posteriors]
    datasets = [settings.base_of(dataset) for dataset in table.datasets]
    splits = {(dataset, table.split) for dataset in datasets}
    if settings.temperature.softmax == "fitted":
        fit_split = settings.temperature.fit_split
        splits |= {(dataset, fit_split) for dataset in datasets}
    banks = (find_bank(settings, name, table.split) for name in datasets)
    splits |= {(bank.dataset, bank.split) for bank in banks if bank}
    for name in filter(None, (posterior.adapter for posterior in posteriors)):
        adapter = settings.adapters[name]
        splits |= {(adapter.dataset, split) for split in (adapter.train, adapter.val)}
    encoders = {encoder for posterior in posteriors for encoder in posterior.encoders()}
    specs = {}
    names = sorted(encoders - {IMPORTED})
    for name in names:  # grows by the encoders that others are fine-tuned from
        spec = specs[name] = settings.encoders[name]
        if spec.train:
            recipe = spec.train.datasets()
            splits |= {(d, split) for d in recipe for split in ("train", "val")}
        if spec.finetune:
            recipe = spec.finetune
            splits |= {(recipe.dataset, split) for split in (recipe.train, recipe.val)}
            names += {recipe.base} - set(names)
    stored = {(settings.base_of(dataset), split) for dataset, split in splits}
    records = [paths.SOURCE.format(dataset=d, split=s) for d, s in sorted(stored)]
    downloaded = [name for name, spec in specs.items() if spec.is_downloaded]
    return records + [paths.WEIGHTS.format(encoder=name) for name in downloaded]
