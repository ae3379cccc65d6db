# Robustness studies: encoders on clean and attacked images.


include: "robustness.inputs.smk"


rule robustness:
    """Measure the accuracy of a study's models on clean and attacked images, and check the attacks."""
    input:
        unpack(robustness_files),
    output:
        csv=report(
            f"{paths.ROBUSTNESS}.csv",
            caption="../report/robustness.rst",
            category="Robustness",
        ),
        md=f"{paths.ROBUSTNESS}.md",
        tex=f"{paths.ROBUSTNESS}.tex",
        checks=paths.ROBUSTNESS_CHECKS,
    log:
        log_file("robustness", "{robustness}"),
    benchmark:
        benchmark_file("robustness", "{robustness}")
    wildcard_constraints:
        robustness=studies.STUDY_PATTERN,
    conda:
        "../../envs/overtop.yaml"
    resources:
        **request("robustness"),
    params:
        spec=entry("robustness"),
        views=as_params(views_of_study),
        multilabel_views=as_params(multilabel_views),
        attacked_views=attacked_views,
        attacks=attacks_of_study,
        objectives=objectives_of_study,
        training_epsilons=epsilons_of_study,
        bootstrap=plain(settings.evaluation.bootstrap),
        seed=settings.seed,
        version=VERSIONS["robustness"],
    script:
        "../../scripts/robustness.py"


rule attack_effects:
    """Test whether the attacks of a study raise or lower each uncertainty."""
    input:
        scores=effects_files,
    output:
        csv=report(
            f"{paths.ATTACK_EFFECTS}.csv",
            caption="../report/attack_effects.rst",
            category="Robustness",
        ),
        md=f"{paths.ATTACK_EFFECTS}.md",
    log:
        log_file("attack_effects", "{robustness}"),
    benchmark:
        benchmark_file("attack_effects", "{robustness}")
    wildcard_constraints:
        robustness=studies.STUDY_PATTERN,
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("attack_effects"),
    params:
        spec=entry("robustness"),
        views=as_params(views_of_study),
        early_stopped=early_stopped_attacks,
        bootstrap=plain(settings.evaluation.bootstrap),
        seed=settings.seed,
        version=VERSIONS["attack_effects"],
    script:
        "../../scripts/attack_effects.py"


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
        **request("view_calibration"),
    params:
        split=field("robustness", "split"),
        views=as_params(classified_views),
        bootstrap=plain(settings.evaluation.bootstrap),
        seed=settings.seed,
        version=VERSIONS["view_calibration"],
    script:
        "../../scripts/view_calibration.py"
