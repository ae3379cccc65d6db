# Input and params functions of the rules in robustness.smk (the linter wants rules and functions in separate files).


def views_of_study(wildcards):
    """Every encoder of a study on its data sets, clean and attacked."""
    study = look_up("robustness", wildcards)
    return studies.study_views(study, study.datasets, study.attacks)


def multilabel_views(wildcards):
    """The same for its data sets with several labels per image."""
    study = look_up("robustness", wildcards)
    attacks = studies.multilabel_attacks(settings, study)
    return studies.study_views(study, study.multilabel, attacks)


def attacked_shards(wildcards):
    """View and path of every shard of attacked images of a study."""
    study = look_up("robustness", wildcards)
    return [
        (view, path)
        for view in [*views_of_study(wildcards), *multilabel_views(wildcards)]
        if view.view in study.attacks
        for path in paths.attacked_shards(
            settings, view.dataset, study.split, view.encoder, view.view
        )
    ]


def robustness_files(wildcards):
    """Hits of all views, measures of images with several labels, and the shards of attacked images."""
    study = look_up("robustness", wildcards)
    return {
        "hits": [
            studies.hits_file(settings, study, view)
            for view in views_of_study(wildcards)
        ],
        "multilabel": [
            paths.MULTILABEL.format(
                dataset=view.dataset, split=study.split, posterior=view.posterior
            )
            for view in multilabel_views(wildcards)
        ],
        "attacked": [path for _, path in attacked_shards(wildcards)],
    }


def effects_files(wildcards):
    """Scores of all views of a study."""
    study = look_up("robustness", wildcards)
    return [
        paths.SCORES.format(
            dataset=view.dataset, split=study.split, posterior=view.posterior
        )
        for view in views_of_study(wildcards)
    ]


def attacked_views(wildcards):
    """The view of every shard of attacked images, as plain values."""
    return [view._asdict() for view, _ in attacked_shards(wildcards)]


def attacks_of_study(wildcards):
    """The attacks of a study and of its worst cases, as plain values."""
    attacks = studies.study_attacks(settings, look_up("robustness", wildcards))
    return {name: plain(attack) for name, attack in attacks.items()}


def early_stopped_attacks(wildcards):
    """Attacks of a study that stop at the first wrong answer."""
    return studies.early_stopped_attacks(settings, look_up("robustness", wildcards))


def objectives_of_study(wildcards):
    return studies.paper_objectives(settings, look_up("robustness", wildcards))


def epsilons_of_study(wildcards):
    return studies.training_epsilons(settings, look_up("robustness", wildcards))


def classified_views(wildcards):
    """Every encoder of a study on its data sets of classes, clean and attacked."""
    views = [
        view
        for view in views_of_study(wildcards)
        if settings.stored_dataset(view.dataset).kind == "classes"
    ]
    views += multilabel_views(wildcards)
    if not views:
        raise OvertopError(
            f"config.yaml: robustness.{wildcards.robustness} has no data set of classes, and so no probabilities"
        )
    return views


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
