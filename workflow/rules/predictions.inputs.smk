# Input and params functions of the rules in predictions.smk (the linter wants rules and functions in separate files).


def fit_if_declared(wildcards):
    """The temperature fitted for a posterior on the validation split of its fine-tuning, if there is one."""
    look_up("posteriors", wildcards)
    fit = find_fit(settings, wildcards.posterior)
    return [] if fit is None else paths.TEMPERATURES.format(**fit._asdict())


def classified_views(wildcards):
    """Every encoder of a study on its data sets of classes, clean and attacked."""
    study = look_up("robustness", wildcards)
    classified = [
        name
        for name in study.datasets
        if settings.stored_dataset(name).kind == "classes"
    ]
    return studies.study_views(study, classified, study.attacks) + studies.study_views(
        study, study.multilabel, studies.multilabel_attacks(settings, study)
    )


def prediction_files(split, views):
    """The predictions of some views of a study, in their order."""
    return [
        paths.PREDICTIONS.format(dataset=v.dataset, split=split, posterior=v.posterior)
        for v in views
    ]


def study_predictions(wildcards):
    """The predictions of a study."""
    split = look_up("robustness", wildcards).split
    return prediction_files(split, classified_views(wildcards))
