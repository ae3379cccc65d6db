def adapter_spec(wildcards):
    return plain(declared("adapters", wildcards, "adapter"))


def adapt_inputs(wildcards):
    adapter = declared("adapters", wildcards, "adapter")
    inputs = {}
    for role in ("train", "val"):
        split = getattr(adapter, role)
        inputs[role] = layout.split(adapter.dataset, split)
        for modality in layout.MODALITIES:
            inputs[f"{role}_{modality}"] = layout.deterministic_shards(
                settings, adapter.dataset, split, adapter.encoder, modality
            )
    return inputs


def adapter_name(wildcards):
    """The adapter of a posterior, None without."""
    return getattr(declared("posteriors", wildcards, "posterior"), "adapter", None)


def adapter_of(wildcards):
    name = adapter_name(wildcards)
    if name is None:
        raise WorkflowError(
            f"config.yaml: posteriors.{wildcards.posterior} has no adapter; add `adapter: NAME`"
        )
    return layout.adapter(name)


def spread_if_adapted(wildcards):
    """The spread of a posterior, if it has an adapter."""
    adapted = adapter_name(wildcards) is not None
    return f"results/spread/{TAIL}.h5".format(**wildcards) if adapted else []


rule adapt:
    """Train the probabilistic adapters of an encoder on its embeddings."""
    input:
        unpack(adapt_inputs),
    output:
        "data/adapters/{adapter}.safetensors",
    log:
        "logs/adapt/{adapter}.log",
    benchmark:
        "benchmarks/adapt/{adapter}.tsv"
    conda:
        "../../envs/overtop.yaml"
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        adapter=adapter_spec,
        seed=settings.seed,
        version=VERSIONS["adapt"],
    script:
        "../../scripts/adapt.py"


rule spread:
    """How widely the adapters spread the embedding of each query."""
    input:
        unpack(of_split),
        adapter=adapter_of,
    output:
        f"results/spread/{TAIL}.h5",
    log:
        f"logs/spread/{TAIL}.log",
    benchmark:
        f"benchmarks/spread/{TAIL}.tsv"
    conda:
        "../../envs/overtop.yaml"
    resources:
        mem_mb=4000,
    params:
        version=VERSIONS["spread"],
    script:
        "../../scripts/spread.py"
