# Answers: fit confidence models on labelled splits, prepare galleries once, and answer new queries.


include: "answers.inputs.smk"


rule calibrate:
    """Fit the confidence models of a posterior on a labelled split: the probability of a hit, and thresholds."""
    input:
        unpack(calibration_files),
        temperatures=fitted_temperatures,
    output:
        paths.CONFIDENCE,
    log:
        log_file("calibrate", paths.OF_POSTERIOR),
    benchmark:
        benchmark_file("calibrate", paths.OF_POSTERIOR)
    conda:
        "../../envs/overtop.yaml"
    resources:
        **request("calibrate"),
    params:
        **settings.operating.model_dump(exclude={"val", "estimator"}),
        candidates=candidates,
        bank=model_bank_spec,
        temperature=plain(settings.temperature),
        passes=field("posteriors", "passes"),
        seed=settings.seed,
        version=VERSIONS["calibrate"],
    script:
        "../../scripts/calibrate.py"


rule prepare:
    """Prepare the gallery of an answer once: unit vectors, groups, and the offsets by the bank of its model."""
    input:
        unpack(gallery_files),
        temperatures=answer_temperatures,
    output:
        directory(paths.GALLERY),
    log:
        log_file("prepare", "{answer}"),
    benchmark:
        benchmark_file("prepare", "{answer}")
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("prepare"),
    params:
        direction=answer_direction,
        source=items_spec("gallery"),
        bank=answer_bank_spec,
        temperature=plain(settings.temperature),
        passes=answer_passes,
        version=VERSIONS["prepare"],
    script:
        "../../scripts/prepare.py"


rule answer:
    """Answer new queries: the top-1 of each, the probability that it is right, and whether to act on it."""
    input:
        unpack(query_files),
        model=answer_model,
        gallery=paths.GALLERY,
    output:
        parquet=f"{paths.ANSWER}.parquet",
        csv=report(
            f"{paths.ANSWER}.csv",
            caption="../report/answers.rst",
            category="Answers",
        ),
    log:
        log_file("answer", "{answer}"),
    benchmark:
        benchmark_file("answer", "{answer}")
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("answer"),
    params:
        direction=answer_direction,
        source=items_spec("queries"),
        precision=field("answers", "precision"),
        dirichlet=settings.temperature.dirichlet,
        passes=answer_passes,
        version=VERSIONS["answer"],
    script:
        "../../scripts/answer.py"
