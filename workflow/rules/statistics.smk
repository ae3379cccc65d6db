def posterior_kind(wildcards):
    return declared("posteriors", wildcards, "posterior").kind


def val_and_test(wildcards):
    """Scores, rankings and splits: where the threshold is chosen, and where it is kept."""
    inputs = {}
    for role, split in (("val", settings.operating.val), ("test", wildcards.split)):
        words = dict(wildcards) | {"split": split}
        inputs[f"{role}_scores"] = f"results/scores/{TAIL}.parquet".format(**words)
        inputs[f"{role}_ranking"] = f"results/rankings/{TAIL}.h5".format(**words)
        inputs[f"{role}_split"] = layout.split(wildcards.dataset, split)
    return inputs


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
        return layout.of_posteriors(
            kind, [cascade.dataset], split, [posterior], suffix
        )[0]

    inputs = {}
    for role, split in (("test", cascade.split), ("val", cascade.val)):
        for which in ("cheap", "expensive"):
            posterior = getattr(cascade, which)
            inputs[f"{which}_{role}"] = of("scores", split, posterior, "parquet")
        inputs[f"ranking_{role}"] = of("rankings", split, cascade.expensive, "h5")
    return inputs


rule evaluate:
    """Recall, calibration and rejection of every score."""
    input:
        f"results/scores/{TAIL}.parquet",
    output:
        metrics=f"results/metrics/{TAIL}.parquet",
        calibration=f"results/curves/calibration/{TAIL}.parquet",
        rejection=f"results/curves/rejection/{TAIL}.parquet",
    log:
        f"logs/evaluate/{TAIL}.log",
    benchmark:
        f"benchmarks/evaluate/{TAIL}.tsv"
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    params:
        spec=plain(settings.evaluation),
        seed=settings.seed,
        kind=posterior_kind,
        version=VERSIONS["evaluate"],
    script:
        "../../scripts/evaluate.py"


rule operate:
    """Thresholds that keep a precision, chosen on one split, and what they keep on another."""
    input:
        unpack(val_and_test),
    output:
        f"results/operating/{TAIL}.csv",
    log:
        f"logs/operate/{TAIL}.log",
    benchmark:
        f"benchmarks/operate/{TAIL}.tsv"
    conda:
        "../../envs/overtop.yaml"
    params:
        **plain(settings.operating),
        seed=settings.seed,
        version=VERSIONS["operate"],
    script:
        "../../scripts/operate.py"


rule judge:
    """Do uncertain queries have other items that people call relevant?"""
    input:
        source="data/raw/{dataset}/source.json",
        split="data/splits/{dataset}/{split}.parquet",
        scores=f"results/scores/{TAIL}.parquet",
    output:
        f"results/judgments/{TAIL}.csv",
    log:
        f"logs/judge/{TAIL}.log",
    benchmark:
        f"benchmarks/judge/{TAIL}.tsv"
    conda:
        "../../envs/overtop.yaml"
    params:
        judgments=judgment_files,
        bootstrap=plain(settings.evaluation.bootstrap),
        seed=settings.seed,
        version=VERSIONS["judge"],
    script:
        "../../scripts/judge.py"


rule cascade:
    """A cheap estimator for all queries, an expensive posterior for those it trusts least."""
    input:
        unpack(cascade_inputs),
    output:
        curve="results/cascades/{cascade}/curve.csv",
        votes="results/cascades/{cascade}/votes.csv",
        spent="results/cascades/{cascade}/spent.csv",
    log:
        "logs/cascade/{cascade}.log",
    benchmark:
        "benchmarks/cascade/{cascade}.tsv"
    conda:
        "../../envs/overtop.yaml"
    params:
        spec=cascade_spec,
        bootstrap=plain(settings.evaluation.bootstrap),
        seed=settings.seed,
        version=VERSIONS["cascade"],
    script:
        "../../scripts/cascade.py"
