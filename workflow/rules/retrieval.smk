rule rank:
    """Multiply once: the top items of every query, on the mean and in every sample."""
    input:
        image=image_shards,
        text=text_shards,
    output:
        f"results/rankings/{RANK_RESULT}.h5",
    log:
        f"logs/rank/{RANK_RESULT}.log",
    benchmark:
        f"benchmarks/rank/{RANK_RESULT}.tsv"
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        mem_mb=8000,
    params:
        **plain(settings.ranking),
        version=VERSIONS["rank"],
    script:
        "../../scripts/rank.py"


rule radius:
    """How far each query may move before its top-1 changes."""
    input:
        image=image_shards,
        text=text_shards,
        ranking=f"results/rankings/{RANK_RESULT}.h5",
    output:
        f"results/radii/{RANK_RESULT}.h5",
    log:
        f"logs/radius/{RANK_RESULT}.log",
    benchmark:
        f"benchmarks/radius/{RANK_RESULT}.tsv"
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        mem_mb=8000,
    params:
        **plain(settings.radius),
        version=VERSIONS["radius"],
    script:
        "../../scripts/radius.py"


rule score:
    """One uncertainty per query, direction, estimator and protocol; and whether the top-1 was right."""
    input:
        split="data/splits/{dataset}/{split}.parquet",
        ranking=f"results/rankings/{RANK_RESULT}.h5",
        radii=f"results/radii/{RANK_RESULT}.h5",
    output:
        f"results/scores/{RANK_RESULT}.parquet",
    log:
        f"logs/score/{RANK_RESULT}.log",
    benchmark:
        f"benchmarks/score/{RANK_RESULT}.tsv"
    conda:
        "../../envs/overtop.yaml"
    params:
        estimators=settings.estimators,
        version=VERSIONS["score"],
    script:
        "../../scripts/score.py"


rule evaluate:
    """Recall, calibration and rejection of every score."""
    input:
        f"results/scores/{RANK_RESULT}.parquet",
    output:
        metrics=f"results/metrics/{RANK_RESULT}.parquet",
        calibration=f"results/curves/calibration/{RANK_RESULT}.parquet",
        rejection=f"results/curves/rejection/{RANK_RESULT}.parquet",
    log:
        f"logs/evaluate/{RANK_RESULT}.log",
    benchmark:
        f"benchmarks/evaluate/{RANK_RESULT}.tsv"
    conda:
        "../../envs/overtop.yaml"
    params:
        spec=plain(settings.evaluation),
        kind=posterior_kind,
        version=VERSIONS["evaluate"],
    script:
        "../../scripts/evaluate.py"
