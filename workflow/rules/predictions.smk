# Zero-shot classification: the probabilities of the classes, and images with several labels.


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
        **request("predict"),
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
        **request("multilabel"),
    params:
        bootstrap=plain(settings.evaluation.bootstrap),
        passes=field("posteriors", "passes"),
        seed=settings.seed,
        version=VERSIONS["multilabel"],
    script:
        "../../scripts/multilabel.py"
