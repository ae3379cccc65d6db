# Input and params functions of the rules in adapters.smk (the linter wants rules and functions in separate files).


def adapt_files(wildcards):
    """The train and val splits of an adapter, and the shards of its encoder on them."""
    adapter = look_up("adapters", wildcards)
    files = {}
    for role in ("train", "val"):
        split = getattr(adapter, role)
        files[role] = paths.SPLIT.format(dataset=adapter.dataset, split=split)
        for modality in MODALITIES:
            files[f"{role}_{modality}"] = paths.deterministic_shards(
                settings, adapter.dataset, split, adapter.encoder, modality
            )
    return files


def adapter_files(wildcards):
    """The trained adapters of a posterior, one file per protocol that it is evaluated under."""
    posterior = look_up("posteriors", wildcards)
    if posterior.adapter is None:
        raise OvertopError(
            f"config.yaml: posteriors.{wildcards.posterior} has no adapter; add `adapter: NAME`"
        )
    return [
        paths.ADAPTER.format(adapter=posterior.adapter, protocol=protocol)
        for protocol in posterior.protocols
    ]
