# ProbVLM: train probabilistic adapters, and predict the variance of each query.


include: "adapters.inputs.smk"


rule adapt:
    """Train the probabilistic adapters of an encoder under one protocol; a killed job continues where it stopped."""
    input:
        unpack(adapt_files),
    output:
        paths.ADAPTER,
    log:
        log_file("adapt", "{adapter}/{protocol}"),
    benchmark:
        benchmark_file("adapt", "{adapter}/{protocol}")
    conda:
        "../../envs/overtop.yaml"
    threads: field("adapters", "threads")
    resources:
        **request("adapt"),
    params:
        adapter=entry("adapters"),
        seed=settings.seed,
        version=VERSIONS["adapt"],
    script:
        "../../scripts/adapt.py"


rule spread:
    """Predict the variance of the embedding of each query with the adapters."""
    input:
        unpack(posterior_on_split),
        adapters=adapter_files,
    output:
        paths.SPREAD,
    log:
        log_file("spread", paths.OF_POSTERIOR),
    benchmark:
        benchmark_file("spread", paths.OF_POSTERIOR)
    conda:
        "../../envs/overtop.yaml"
    resources:
        **request("spread"),
    params:
        passes=field("posteriors", "passes"),
        version=VERSIONS["spread"],
    script:
        "../../scripts/spread.py"
