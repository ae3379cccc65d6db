rule temperature:
    """Fit the temperature of the softmax over the gallery."""
    input:
        unpack(of_split),
    output:
        f"results/temperatures/{TAIL}.json",
    log:
        f"logs/temperature/{TAIL}.log",
    benchmark:
        f"benchmarks/temperature/{TAIL}.tsv"
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        mem_mb=8000,
    params:
        passes=n_passes,
        version=VERSIONS["temperature"],
    script:
        "../../scripts/temperature.py"


rule rank:
    """Multiply once: the top items of every query, on the mean and in every sample."""
    input:
        unpack(of_split),
        temperatures=fitted_temperature,
    output:
        f"results/rankings/{TAIL}.h5",
    log:
        f"logs/rank/{TAIL}.log",
    benchmark:
        f"benchmarks/rank/{TAIL}.tsv"
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        mem_mb=8000,
    params:
        **plain(settings.ranking),
        temperature=plain(settings.temperature),
        passes=n_passes,
        version=VERSIONS["rank"],
    script:
        "../../scripts/rank.py"


rule radius:
    """How far each query may move before its top-1 changes."""
    input:
        unpack(of_split),
        ranking=f"results/rankings/{TAIL}.h5",
    output:
        f"results/radii/{TAIL}.h5",
    log:
        f"logs/radius/{TAIL}.log",
    benchmark:
        f"benchmarks/radius/{TAIL}.tsv"
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        mem_mb=8000,
    params:
        **plain(settings.radius),
        search=settings.ranking.search,
        passes=n_passes,
        version=VERSIONS["radius"],
    script:
        "../../scripts/radius.py"


rule score:
    """One uncertainty per query, direction, estimator and protocol; and whether the top-1 was right."""
    input:
        split="data/splits/{dataset}/{split}.parquet",
        ranking=f"results/rankings/{TAIL}.h5",
        radii=f"results/radii/{TAIL}.h5",
        temperatures=fitted_temperature,
        spread=spread_if_adapted,
    output:
        f"results/scores/{TAIL}.parquet",
    log:
        f"logs/score/{TAIL}.log",
    benchmark:
        f"benchmarks/score/{TAIL}.tsv"
    conda:
        "../../envs/overtop.yaml"
    params:
        estimators=settings.estimators,
        protocols=posterior_protocols,
        temperature=plain(settings.temperature),
        version=VERSIONS["score"],
    script:
        "../../scripts/score.py"
