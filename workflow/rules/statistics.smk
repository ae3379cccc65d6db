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


rule recall:
    """Is the encoder the one that was published? Its recall, beside the published one."""
    input:
        unpack(deterministic),
    output:
        "results/recall/{dataset}/{split}/{encoder}.csv",
    log:
        "logs/recall/{dataset}/{split}/{encoder}.log",
    benchmark:
        "benchmarks/recall/{dataset}/{split}/{encoder}.tsv"
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        mem_mb=8000,
    params:
        encoder=encoder_spec,
        benchmark=benchmark_of,
        version=VERSIONS["recall"],
    script:
        "../../scripts/recall.py"


rule compare:
    """Which differences between the methods of a table survive their intervals."""
    input:
        scores=table_scores,
    output:
        csv=report(
            "results/differences/{table}.csv",
            caption="../report/differences.rst",
            category="Tables",
        ),
        md="results/differences/{table}.md",
    log:
        "logs/compare/{table}.log",
    benchmark:
        "benchmarks/compare/{table}.tsv"
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        mem_mb=8000,
    params:
        spec=table_spec,
        evaluation=plain(settings.evaluation),
        seed=settings.seed,
        benchmarks=table_benchmarks,
        kinds=table_kinds,
        version=VERSIONS["compare"],
    script:
        "../../scripts/compare.py"


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
        source="data/raw/{dataset}/{split}/source.json",
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
