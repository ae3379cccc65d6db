# Input and params functions of the rules in answers.smk (the linter wants rules and functions in separate files).


def candidates(wildcards):
    """The estimators that the confidence model of a labelled split is chosen from."""
    look_up("datasets", wildcards)
    return answers.candidate_estimators(settings, wildcards.dataset, wildcards.split)


def calibration_files(wildcards):
    """The ranking of a labelled split, its manifest, and the shards of its gallery and its bank."""
    bank = answers.model_bank(settings, wildcards.dataset, wildcards.split)
    splits = {"": (wildcards.dataset, wildcards.split)}
    if bank is not None:
        splits["bank_"] = (bank.dataset, bank.split)
    return {
        "split": paths.SPLIT.format(**wildcards),
        "ranking": paths.RANKING.format(**wildcards),
        **shards_of_roles(look_up("posteriors", wildcards), splits),
    }


def answer_model(wildcards):
    """The confidence models of an answer."""
    if settings.ranking.search != "stream":
        raise OvertopError(
            f"config.yaml: answers.{wildcards.answer}: answers are ranked exactly, and so must be the queries that their "
            "model is fitted on; set ranking.search to stream"
        )
    return paths.CONFIDENCE.format(**look_up("answers", wildcards).model.model_dump())


def answer_posterior(wildcards):
    """The posterior of an answer's model."""
    return settings.posteriors[look_up("answers", wildcards).model.posterior]


def answer_passes(wildcards):
    """The number of samples of an answer's posterior that are used."""
    return answer_posterior(wildcards).passes


def answer_direction(wildcards):
    """The direction of an answer."""
    return answers.find_direction(settings, look_up("answers", wildcards))


def answer_temperatures(wildcards):
    """The file of the fitted temperatures of an answer's model; none if the configuration gives a number."""
    return fitted_temperatures(look_up("answers", wildcards).model)


def answer_bank(wildcards):
    """The bank of an answer's model; None if there is none, or no estimator needs it."""
    model = look_up("answers", wildcards).model
    return answers.model_bank(settings, model.dataset, model.split)


def answer_bank_spec(wildcards):
    """The bank of an answer's model, as plain values."""
    bank = answer_bank(wildcards)
    return bank and bank.as_params()


def model_bank_spec(wildcards):
    """The bank of the confidence models of a labelled split, as plain values."""
    bank = answers.model_bank(settings, wildcards.dataset, wildcards.split)
    return bank and bank.as_params()


def items_spec(role):
    """A params function: where the items of an answer come from, as plain values."""

    def spec(wildcards):
        look_up("answers", wildcards)
        return answers.find_items(settings, wildcards.answer, role)._asdict()

    return spec


def item_files(wildcards, role):
    """The shards of the items of an answer with the manifest of their split, or the files of imported embeddings."""
    look_up("answers", wildcards)
    items = answers.find_items(settings, wildcards.answer, role)
    if isinstance(items, answers.ItemsOfFile):
        key = f"answers.{wildcards.answer}.{role}.embeddings"
        source = locate(key, items.location)
        files = [path for path in sorted(source.rglob("*")) if path.is_file()]
        return {"embeddings": files or source, "split": []}
    shards = paths.posterior_shards(
        settings,
        items.dataset,
        items.split,
        answer_posterior(wildcards),
        items.modality,
    )
    split = paths.SPLIT.format(dataset=items.dataset, split=items.split)
    return {"embeddings": shards, "split": split}


def gallery_files(wildcards):
    """The items of the gallery of an answer, and the shards of the queries of its bank."""
    queries = answers.find_items(settings, wildcards.answer, "queries")
    bank = answer_bank(wildcards)
    shards = []
    if bank is not None:
        shards = paths.posterior_shards(
            settings,
            bank.dataset,
            bank.split,
            answer_posterior(wildcards),
            queries.modality,
        )
    return {**item_files(wildcards, "gallery"), "bank": shards}


def query_files(wildcards):
    """The queries of an answer, and the manifest of the texts: of the queries or of the gallery."""
    files = {role: item_files(wildcards, role) for role in answers.ROLES}
    role_of_texts = "queries" if answer_direction(wildcards) == "t2i" else "gallery"
    return {**files["queries"], "texts": files[role_of_texts]["split"]}
