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
        passes=n_passes,
        version=VERSIONS["spread"],
    script:
        "../../scripts/spread.py"
