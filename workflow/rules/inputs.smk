# What each rule reads and is told, where a wildcard decides.


def fetch_spec(wildcards):
    spec = declared("datasets", wildcards, "dataset")
    about_reading = {"captions_per_image", "expect", "extended"}
    left_out = {"shards", "benchmark"} | about_reading
    if spec.kind != "karpathy":
        left_out.add("on_error")  # there it decides whether a missing image is one
    return spec.model_dump(mode="json", exclude=left_out)


def fetch_sources(wildcards):
    """The sources that a data set's routes name."""
    routes = getattr(declared("datasets", wildcards, "dataset"), "routes", [])
    named = {name for route in routes for name in [route.annotations, *route.places()]}
    return {name: plain(settings.sources[name]) for name in sorted(filter(None, named))}


def split_spec(wildcards):
    spec = declared("datasets", wildcards, "dataset")
    left_out = {"shards", "on_error", "judgments", "benchmark", "routes"}
    return spec.model_dump(mode="json", exclude=left_out)


def on_error(wildcards):
    """What bad items do; captions cannot be unreadable."""
    may_fail = getattr(wildcards, "modality", "image") == "image"
    return declared("datasets", wildcards, "dataset").on_error if may_fail else "fail"


def of_split(wildcards):
    """The split, and the shards of a posterior on it."""
    posterior = declared("posteriors", wildcards, "posterior")
    declared("datasets", wildcards, "dataset")
    found = {
        modality: paths.posterior_shards(
            settings, wildcards.dataset, wildcards.split, posterior, modality
        )
        for modality in paths.MODALITIES
    }
    if Path(f"results/rankings/{TAIL}.h5".format(**wildcards)).exists():
        # Snakemake takes an intermediate file that is gone for one nobody needs. Not these: a ranking never stands
        # without the shards it came from, so they are remade, and with them what hangs on them.
        gone = (path for path in sum(found.values(), []) if not Path(path).exists())
        workflow.dag.forcefiles.update(gone)
    return {"split": paths.split(wildcards.dataset, wildcards.split), **found}


def n_passes(wildcards):
    """How many samples to use of shards that may hold more; None for all."""
    return getattr(declared("posteriors", wildcards, "posterior"), "passes", None)


def fitted_temperature(wildcards):
    """The file of the fitted temperatures, where they are not numbers of the configuration."""
    if settings.temperature.softmax != "fitted":
        return []
    split = settings.temperature.fit_split
    found = paths.of_posteriors(
        "temperatures", [wildcards.dataset], split, [wildcards.posterior], "json"
    )
    return found[0]


def rows_of(kind, name):
    """`results/{kind}` of every data set and posterior of a table."""
    table = settings.tables[name]
    return paths.of_posteriors(kind, table.datasets, table.split, table.posteriors)


def encoder_spec(wildcards):
    return plain(declared("encoders", wildcards, "encoder"))


def batch_size(wildcards):
    return getattr(settings.embedding.batch_size, wildcards.modality)


def train_inputs(wildcards):
    encoder = declared("encoders", wildcards, "encoder")
    if encoder.train is None:
        raise WorkflowError(
            f"config.yaml: encoders.{wildcards.encoder} has weights of its own, nothing to train"
        )
    dataset, splits = encoder.train.dataset, ("train", "val")
    inputs = {split: paths.split(dataset, split) for split in splits}
    if encoder.train.towers == "locked":
        inputs["features"] = [
            paths.features(dataset, split, encoder.architecture) for split in splits
        ]
    return inputs


def train_threads(wildcards):
    recipe = declared("encoders", wildcards, "encoder").train
    return recipe.threads if recipe else 1


def embed_inputs(wildcards):
    encoder = declared("encoders", wildcards, "encoder")
    inputs = {"split": paths.split(wildcards.dataset, wildcards.split)}
    if encoder.train is not None:
        inputs["checkpoint"] = paths.checkpoint(wildcards.encoder)
    elif encoder.is_downloaded:
        inputs["checkpoint"] = paths.weights(wildcards.encoder)
    else:
        inputs["checkpoint"] = encoder.checkpoint
    return inputs


def downloaded_encoder(wildcards):
    encoder = declared("encoders", wildcards, "encoder")
    if not encoder.is_downloaded:
        raise WorkflowError(
            f"config.yaml: encoders.{wildcards.encoder} has its weights here, nothing to download"
        )
    return plain(encoder)


def adapter_spec(wildcards):
    return plain(declared("adapters", wildcards, "adapter"))


def adapt_inputs(wildcards):
    adapter = declared("adapters", wildcards, "adapter")
    inputs = {}
    for role in ("train", "val"):
        split = getattr(adapter, role)
        inputs[role] = paths.split(adapter.dataset, split)
        for modality in paths.MODALITIES:
            inputs[f"{role}_{modality}"] = paths.deterministic_shards(
                settings, adapter.dataset, split, adapter.encoder, modality
            )
    return inputs


def adapter_name(wildcards):
    """The adapter of a posterior, None without."""
    return getattr(declared("posteriors", wildcards, "posterior"), "adapter", None)


def adapter_of(wildcards):
    name = adapter_name(wildcards)
    if name is None:
        raise WorkflowError(
            f"config.yaml: posteriors.{wildcards.posterior} has no adapter; add `adapter: NAME`"
        )
    return paths.adapter(name)


def spread_if_adapted(wildcards):
    """The spread of a posterior, if it has an adapter."""
    adapted = adapter_name(wildcards) is not None
    return f"results/spread/{TAIL}.h5".format(**wildcards) if adapted else []


def posterior_kind(wildcards):
    return declared("posteriors", wildcards, "posterior").kind


def posterior_protocols(wildcards):
    return declared("posteriors", wildcards, "posterior").protocols


def val_and_test(wildcards):
    """Scores, rankings and splits: where the threshold is chosen, and where it is kept."""
    inputs = {}
    for role, split in (("val", settings.operating.val), ("test", wildcards.split)):
        words = dict(wildcards) | {"split": split}
        inputs[f"{role}_scores"] = f"results/scores/{TAIL}.parquet".format(**words)
        inputs[f"{role}_ranking"] = f"results/rankings/{TAIL}.h5".format(**words)
        inputs[f"{role}_split"] = paths.split(wildcards.dataset, split)
    return inputs


def deterministic(wildcards):
    """The split, and the shards of one encoder on it without dropout."""
    declared("encoders", wildcards, "encoder")
    found = {
        modality: paths.deterministic_shards(
            settings, wildcards.dataset, wildcards.split, wildcards.encoder, modality
        )
        for modality in paths.MODALITIES
    }
    return {"split": paths.split(wildcards.dataset, wildcards.split), **found}


def benchmark_of(wildcards):
    """The published figures that a data set's test split is held against, if any."""
    return declared("datasets", wildcards, "dataset").benchmark


def judgment_files(wildcards):
    files = getattr(declared("datasets", wildcards, "dataset"), "judgments", {})
    if not files:
        raise WorkflowError(
            f"config.yaml: datasets.{wildcards.dataset} has no judgments of people; name their files under `judgments`"
        )
    return files


def cascade_spec(wildcards):
    return plain(declared("cascades", wildcards, "cascade"))


def cascade_inputs(wildcards):
    """Scores of both posteriors and votes of the expensive one, on both splits."""
    cascade = declared("cascades", wildcards, "cascade")

    def of(kind, split, posterior, suffix):
        return paths.of_posteriors(
            kind, [cascade.dataset], split, [posterior], suffix
        )[0]

    inputs = {}
    for role, split in (("test", cascade.split), ("val", cascade.val)):
        for which in ("cheap", "expensive"):
            posterior = getattr(cascade, which)
            inputs[f"{which}_{role}"] = of("scores", split, posterior, "parquet")
        inputs[f"ranking_{role}"] = of("rankings", split, cascade.expensive, "h5")
    return inputs


def table_spec(wildcards):
    return plain(declared("tables", wildcards, "table"))


def table_benchmarks(wildcards):
    table = declared("tables", wildcards, "table")
    return {name: settings.datasets[name].benchmark for name in table.datasets}


def table_inputs(wildcards):
    """Metrics of a table's posteriors; recalls of their encoders where figures are published."""
    table = declared("tables", wildcards, "table")
    encoders = {
        encoder
        for posterior in table.posteriors
        for encoder in settings.posteriors[posterior].encoders()
    }
    recalls = [
        f"results/recall/{dataset}/{table.split}/{encoder}.csv"
        for dataset in table.datasets
        for encoder in sorted(encoders)
        if settings.datasets[dataset].benchmark and table.split == "test"
    ]
    return {"metrics": rows_of("metrics", wildcards.table), "recalls": recalls}


def table_scores(wildcards):
    declared("tables", wildcards, "table")
    return rows_of("scores", wildcards.table)


def table_kinds(wildcards):
    table = declared("tables", wildcards, "table")
    return {name: settings.posteriors[name].kind for name in table.posteriors}


def prefetch_inputs(wildcards):
    """Everything that a table needs from elsewhere: what stands in its jobs' way on a node without network."""
    table = declared("tables", wildcards, "table")
    posteriors = [settings.posteriors[name] for name in table.posteriors]
    encoders = {encoder for posterior in posteriors for encoder in posterior.encoders()}
    encoders -= {IMPORTED}
    splits = {(dataset, table.split) for dataset in table.datasets}
    if settings.temperature.softmax == "fitted":
        fit_split = settings.temperature.fit_split
        splits |= {(dataset, fit_split) for dataset in table.datasets}
    for name in filter(None, (getattr(p, "adapter", None) for p in posteriors)):
        adapter = settings.adapters[name]
        splits |= {(adapter.dataset, adapter.train), (adapter.dataset, adapter.val)}
    specs = {name: settings.encoders[name] for name in sorted(encoders)}
    for recipe in filter(None, (spec.train for spec in specs.values())):
        splits |= {(recipe.dataset, split) for split in ("train", "val")}
    weights = [paths.weights(name) for name in specs if specs[name].is_downloaded]
    return [paths.source(*split) for split in sorted(splits)] + weights


def figure_spec(wildcards):
    return plain(declared("figures", wildcards, "figure"))


def figure_inputs(wildcards):
    """What a figure draws: a cascade, or curves and metrics of some posteriors."""
    figure = declared("figures", wildcards, "figure")
    if figure.kind == "cascade":
        parts = ("curve", "spent")
        return {p: f"results/cascades/{figure.cascade}/{p}.csv" for p in parts}
    if figure.kind == "sensitivity":
        tail = [figure.dataset], figure.split, figure.posteriors()
        return {
            "curves": paths.of_posteriors("curves/calibration", *tail),
            "metrics": paths.of_posteriors("metrics", *tail),
        }
    return {
        "curves": rows_of(f"curves/{figure.kind}", figure.table),
        "metrics": rows_of("metrics", figure.table),
    }


def figure_values(wildcards):
    """Rate and passes of the posteriors that a figure compares by them."""
    figure = declared("figures", wildcards, "figure")
    if figure.kind != "sensitivity":
        return {}
    specs = {name: settings.posteriors[name] for name in figure.posteriors()}
    return {n: {"rate": p.rate, "passes": p.passes} for n, p in specs.items()}
