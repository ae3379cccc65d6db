# Statistics: how good each uncertainty is, and what can be done with it.


include: "statistics.inputs.smk"


rule evaluate:
    """Compute recall, calibration, rejection and selective risk of every score, with intervals."""
    input:
        paths.SCORES,
    output:
        metrics=paths.METRICS,
        calibration=paths.fill(paths.CURVES, kind="calibration"),
        rejection=paths.fill(paths.CURVES, kind="rejection"),
    log:
        log_file("evaluate", paths.OF_POSTERIOR),
    benchmark:
        benchmark_file("evaluate", paths.OF_POSTERIOR)
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("evaluate"),
    params:
        spec=plain(settings.evaluation),
        seed=settings.seed,
        kind=field("posteriors", "kind"),
        version=VERSIONS["evaluate"],
    script:
        "../../scripts/evaluate.py"


rule recall:
    """Compare the recall of an encoder with the published one: are its weights and preprocessing right?"""
    input:
        unpack(deterministic_on_split),
    output:
        paths.RECALL,
    log:
        log_file("recall", f"{paths.OF_SPLIT}/{{encoder}}"),
    benchmark:
        benchmark_file("recall", f"{paths.OF_SPLIT}/{{encoder}}")
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("recall"),
    params:
        encoder=entry("encoders"),
        benchmark=field("datasets", "benchmark"),
        version=VERSIONS["recall"],
    script:
        "../../scripts/recall.py"


rule compare:
    """Test the differences between the methods of a table."""
    input:
        scores=table_files(paths.SCORES),
    output:
        csv=report(
            f"{paths.DIFFERENCES}.csv",
            caption="../report/differences.rst",
            category="Tables",
        ),
        md=f"{paths.DIFFERENCES}.md",
    log:
        log_file("compare", "{table}"),
    benchmark:
        benchmark_file("compare", "{table}")
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("compare"),
    params:
        spec=entry("tables"),
        evaluation=plain(settings.evaluation),
        seed=settings.seed,
        benchmarks=table_benchmarks,
        sources=table_sources,
        version=VERSIONS["compare"],
    script:
        "../../scripts/compare.py"


rule operate:
    """Choose thresholds with a guaranteed precision on one split, and apply them on another."""
    input:
        unpack(operating_files),
    output:
        paths.OPERATING,
    log:
        log_file("operate", paths.OF_POSTERIOR),
    benchmark:
        benchmark_file("operate", paths.OF_POSTERIOR)
    conda:
        "../../envs/overtop.yaml"
    resources:
        **request("operate"),
    params:
        **settings.operating.model_dump(exclude={"estimator", "mapping"}),
        seed=settings.seed,
        version=VERSIONS["operate"],
    script:
        "../../scripts/operate.py"


rule transfer:
    """Fit confidence models on a labelled split, and measure on several data sets whether they hold there."""
    input:
        unpack(transfer_files),
    output:
        csv=report(
            f"{paths.TRANSFER}.csv",
            caption="../report/transfer.rst",
            category="Tables",
        ),
        md=f"{paths.TRANSFER}.md",
        thresholds=f"{paths.TRANSFER}-thresholds.csv",
        bins=f"{paths.TRANSFER}-bins.csv",
    log:
        log_file("transfer", "{transfer}"),
    benchmark:
        benchmark_file("transfer", "{transfer}")
    conda:
        "../../envs/overtop.yaml"
    resources:
        **request("transfer"),
    params:
        spec=entry("transfers"),
        banks=transfer_banks,
        operating=plain(settings.operating),
        bootstrap=plain(settings.evaluation.bootstrap),
        seed=settings.seed,
        version=VERSIONS["transfer"],
    script:
        "../../scripts/transfer.py"


rule judge:
    """Compare uncertainty with human judgments: do uncertain queries have further relevant items?"""
    input:
        source=paths.SOURCE,
        split=paths.SPLIT,
        scores=paths.SCORES,
    output:
        paths.JUDGMENTS,
    log:
        log_file("judge", paths.OF_POSTERIOR),
    benchmark:
        benchmark_file("judge", paths.OF_POSTERIOR)
    conda:
        "../../envs/overtop.yaml"
    resources:
        **request("judge"),
    params:
        judgments=judgment_files,
        data=data_folder,
        bootstrap=plain(settings.evaluation.bootstrap),
        seed=settings.seed,
        version=VERSIONS["judge"],
    script:
        "../../scripts/judge.py"


rule cascade:
    """Escalate the most uncertain queries of a cheap estimator to an expensive posterior: cost and benefit."""
    input:
        unpack(cascade_files),
    output:
        **{
            part: paths.fill(paths.CASCADE, part=part)
            for part in ("curve", "votes", "spent")
        },
    log:
        log_file("cascade", "{cascade}"),
    benchmark:
        benchmark_file("cascade", "{cascade}")
    conda:
        "../../envs/overtop.yaml"
    resources:
        **request("cascade"),
    params:
        spec=entry("cascades"),
        bootstrap=plain(settings.evaluation.bootstrap),
        seed=settings.seed,
        version=VERSIONS["cascade"],
    script:
        "../../scripts/cascade.py"


rule thinning:
    """Measure transductive estimators against the number of test queries, beside others and the learned bar."""
    input:
        unpack(thinning_files),
    output:
        paths.THINNING,
    log:
        log_file("thinning", "{figure}"),
    benchmark:
        benchmark_file("thinning", "{figure}")
    conda:
        "../../envs/overtop.yaml"
    resources:
        **request("thinning"),
    params:
        spec=entry("figures"),
        passes=thinning_passes,
        temperature=plain(settings.temperature),
        seed=settings.seed,
        version=VERSIONS["thinning"],
    script:
        "../../scripts/thinning.py"


rule ablate_bank:
    """Measure the bank estimators with other banks and other parameters."""
    input:
        unpack(ablation_files),
        temperatures=ablation_temperatures,
    output:
        paths.BANK_ABLATION,
    log:
        log_file("ablate_bank", "{figure}"),
    benchmark:
        benchmark_file("ablate_bank", "{figure}")
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("ablate_bank"),
    params:
        spec=ablation_spec,
        temperature=plain(settings.temperature),
        seed=settings.seed,
        version=VERSIONS["ablate_bank"],
    script:
        "../../scripts/ablate_bank.py"
