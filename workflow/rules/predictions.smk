# Zero-shot classification: the probabilities of the classes and their calibration, and images with several labels.


include: "predictions.inputs.smk"


rule predict:
    """Predict the class of each image, and measure how probable the model calls it."""
    input:
        unpack(posterior_on_split),
        fit=fit_if_declared,
    output:
        paths.PREDICTIONS,
    log:
        log_file("predict", paths.OF_POSTERIOR),
    benchmark:
        benchmark_file("predict", paths.OF_POSTERIOR)
    conda:
        "../../envs/overtop.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        dirichlet=settings.temperature.dirichlet,
        passes=field("posteriors", "passes"),
        version=VERSIONS["predict"],
    script:
        "../../scripts/predict.py"


rule multilabel:
    """Measure a classifier on images with several labels: mAP, and precision, recall and F1 at 3."""
    input:
        unpack(posterior_on_split),
    output:
        paths.MULTILABEL,
    log:
        log_file("multilabel", paths.OF_POSTERIOR),
    benchmark:
        benchmark_file("multilabel", paths.OF_POSTERIOR)
    conda:
        "../../envs/overtop.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        bootstrap=plain(settings.evaluation.bootstrap),
        passes=field("posteriors", "passes"),
        seed=settings.seed,
        version=VERSIONS["multilabel"],
    script:
        "../../scripts/multilabel.py"


rule view_calibration:
    """Measure how honest the probabilities of a study's models are on clean and attacked images."""
    input:
        predictions=study_predictions,
    output:
        csv=report(
            f"{paths.ROBUSTNESS_CALIBRATION}.csv",
            caption="../report/view_calibration.rst",
            category="Robustness",
        ),
        md=f"{paths.ROBUSTNESS_CALIBRATION}.md",
    log:
        log_file("view_calibration", "{robustness}"),
    benchmark:
        benchmark_file("view_calibration", "{robustness}")
    wildcard_constraints:
        robustness=studies.STUDY_PATTERN,
    conda:
        "../../envs/overtop.yaml"
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        split=field("robustness", "split"),
        views=as_params(classified_views),
        bootstrap=plain(settings.evaluation.bootstrap),
        seed=settings.seed,
        version=VERSIONS["view_calibration"],
    script:
        "../../scripts/view_calibration.py"
