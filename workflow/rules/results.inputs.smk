# Input and params functions of the rules in results.smk (the linter wants rules and functions in separate files).


def table_recalls(wildcards):
    """Recall of all encoders of a table, on the data sets with published results."""
    table = look_up("tables", wildcards)
    if table.split != "test":
        return []
    posteriors = (settings.posteriors[name] for name in table.posteriors)
    encoders = {encoder for posterior in posteriors for encoder in posterior.encoders()}
    return [
        paths.RECALL.format(dataset=dataset, split=table.split, encoder=encoder)
        for dataset in table.datasets
        for encoder in sorted(encoders)
        if settings.datasets[dataset].benchmark
    ]


def figure_files(wildcards):
    """What a figure shows: a cascade, an ablation, thinned queries, predictions, training, or curves and metrics."""
    figure = look_up("figures", wildcards)
    if figure.kind == "cascade":
        parts = ("curve", "spent")
        return {p: paths.CASCADE.format(cascade=figure.cascade, part=p) for p in parts}
    if figure.kind == "robustness":
        return {"table": paths.ROBUSTNESS.format(robustness=figure.robustness) + ".csv"}
    if figure.kind == "attack_effect":
        return attack_effect_files(figure)
    if figure.kind == "thinning":
        return {"thinning": paths.THINNING.format(figure=wildcards.figure)}
    if figure.kind == "bank":
        return {"ablation": paths.BANK_ABLATION.format(figure=wildcards.figure)}
    if figure.kind == "reliability":
        split = settings.robustness[figure.robustness].split
        return {"predictions": prediction_files(split, figure_views(figure))}
    if figure.kind == "confidence":
        return {"bins": paths.TRANSFER.format(transfer=figure.transfer) + "-bins.csv"}
    if figure.kind == "training":
        return {"logs": [paths.TRAINING_LOG.format(encoder=n) for n in figure.encoders]}
    if figure.kind == "sensitivity":
        kind = "calibration"
        where = [figure.dataset], figure.split, figure.posteriors()
    else:
        kind, table = figure.kind, settings.tables[figure.table]
        where = table.datasets, table.split, figure.posteriors or table.posteriors
    curves = paths.for_posteriors(paths.fill(paths.CURVES, kind=kind), *where)
    return {"curves": curves, "metrics": paths.for_posteriors(paths.METRICS, *where)}


def figure_views(figure):
    """Every encoder that a figure of one attack shows, clean and under the attack."""
    study = settings.robustness[figure.robustness]
    views = studies.study_views(study, [figure.dataset], [figure.attack])
    return [v for v in views if not figure.models or v.model in figure.models]


def attack_effect_files(figure):
    """The effects of a study, and scores of the views that a figure shows."""
    split = settings.robustness[figure.robustness].split
    return {
        "effects": paths.ATTACK_EFFECTS.format(robustness=figure.robustness) + ".csv",
        "scores": [
            paths.SCORES.format(dataset=v.dataset, split=split, posterior=v.posterior)
            for v in figure_views(figure)
        ],
    }


def figure_values(wildcards):
    """What a script does not read from the paths of its files.

    Rate and number of passes of the posteriors of a sensitivity figure; epsilons of a robustness figure; models,
    encoders and views of a figure of one attack.
    """
    figure = look_up("figures", wildcards)
    if figure.kind in ("reliability", "attack_effect"):
        return [view._asdict() for view in figure_views(figure)]
    if figure.kind == "robustness":
        return studies.shown_epsilons(settings, figure)
    if figure.kind != "sensitivity":
        return {}
    specs = {name: settings.posteriors[name] for name in figure.posteriors()}
    return {n: {"rate": p.rate, "passes": p.passes} for n, p in specs.items()}


def report_files(wildcards):
    """What a report shows: tables with the results behind them, operating points, studies and answers."""
    spec = look_up("reports", wildcards)
    posteriors = report_posteriors(wildcards)
    splits = report_splits(wildcards)
    of_posteriors = reports.posterior_files
    return {
        "tables": [paths.TABLE.format(table=name) + ".csv" for name in spec.tables],
        "members": [paths.MEMBERS.format(table=name) for name in spec.tables],
        "scores": of_posteriors(paths.SCORES, posteriors),
        "calibration": of_posteriors(
            paths.fill(paths.CURVES, kind="calibration"), posteriors
        ),
        "rankings": of_posteriors(paths.RANKING, posteriors),
        "splits": [paths.SPLIT.format(dataset=d, split=s) for d, s in splits],
        "records": [
            paths.SOURCE.format(dataset=settings.base_of(d), split=s) for d, s in splits
        ],
        "operating": of_posteriors(paths.OPERATING, report_operating(wildcards)),
        "studies": [
            f"{paths.ROBUSTNESS.format(robustness=n)}.csv" for n in spec.robustness
        ],
        "checks": [
            paths.ROBUSTNESS_CHECKS.format(robustness=n) for n in spec.robustness
        ],
        "answers": [f"{paths.ANSWER.format(answer=n)}.parquet" for n in spec.answers],
        "answers_csv": [f"{paths.ANSWER.format(answer=n)}.csv" for n in spec.answers],
    }


def report_tables(wildcards):
    """Split and reference of each table of a report."""
    tables = (settings.tables[name] for name in look_up("reports", wildcards).tables)
    return [{"split": table.split, "reference": table.reference} for table in tables]


def report_posteriors(wildcards):
    """Data set, split and posterior of all files of scores of a report, in their order."""
    return reports.shown_posteriors(settings, look_up("reports", wildcards))


def report_splits(wildcards):
    """Data set and split of all manifests of a report, in their order."""
    return reports.shown_splits(settings, look_up("reports", wildcards))


def report_operating(wildcards):
    """The posteriors of a report with operating points."""
    return reports.operating_posteriors(settings, look_up("reports", wildcards))


def report_entries(wildcards):
    """The declared values of everything that a report shows."""
    return reports.shown_entries(settings, look_up("reports", wildcards))
