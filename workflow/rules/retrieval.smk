# Retrieval: rank a gallery for every query, measure radii, and score every query.


include: "retrieval.inputs.smk"


rule temperature:
    """Fit the temperature of the softmax over the gallery."""
    input:
        unpack(posterior_on_split),
    output:
        paths.TEMPERATURES,
    log:
        log_file("temperature", paths.OF_POSTERIOR),
    benchmark:
        benchmark_file("temperature", paths.OF_POSTERIOR)
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("temperature"),
    params:
        passes=field("posteriors", "passes"),
        version=VERSIONS["temperature"],
    script:
        "../../scripts/temperature.py"


rule bank:
    """Compute how similar each gallery item is to the unlabelled queries of a bank."""
    input:
        unpack(bank_inputs),
        temperatures=fitted_temperatures,
    output:
        paths.BANK,
    log:
        log_file("bank", f"{paths.OF_POSTERIOR}/{{bank}}"),
    benchmark:
        benchmark_file("bank", f"{paths.OF_POSTERIOR}/{{bank}}")
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("bank"),
    params:
        spec=bank_spec,
        temperature=plain(settings.temperature),
        passes=field("posteriors", "passes"),
        version=VERSIONS["bank"],
    script:
        "../../scripts/bank.py"


rule rank:
    """Rank the gallery for every query: on the mean similarity, and in every sample."""
    input:
        unpack(ranking_inputs),
        temperatures=fitted_temperatures,
        bank=bank_if_declared,
    output:
        paths.RANKING,
    log:
        log_file("rank", paths.OF_POSTERIOR),
    benchmark:
        benchmark_file("rank", paths.OF_POSTERIOR)
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("rank"),
    params:
        top=settings.ranking.top,
        search=settings.ranking.search,
        temperature=plain(settings.temperature),
        passes=field("posteriors", "passes"),
        version=VERSIONS["rank"],
    script:
        "../../scripts/rank.py"


rule rank_slice:
    """Rank a slice of a gallery that is beyond one node."""
    input:
        unpack(posterior_on_split),
        temperatures=fitted_temperatures,
        bank=bank_if_declared,
    output:
        temp(paths.RANKING_SLICE),
    log:
        log_file("rank_slice", f"{paths.OF_POSTERIOR}/{{slice}}of{{slices}}"),
    benchmark:
        benchmark_file("rank_slice", f"{paths.OF_POSTERIOR}/{{slice}}of{{slices}}")
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("rank_slice"),
    params:
        top=settings.ranking.top,
        temperature=plain(settings.temperature),
        passes=field("posteriors", "passes"),
        version=VERSIONS["rank_slice"],
    script:
        "../../scripts/rank_slice.py"


rule merge_rankings:
    """Merge the slices of a gallery into the file that `rank` would write, byte for byte."""
    input:
        unpack(slices_to_merge),
        temperatures=fitted_temperatures,
        bank=bank_if_declared,
    output:
        paths.RANKING,
    log:
        log_file("merge_rankings", paths.OF_POSTERIOR),
    benchmark:
        benchmark_file("merge_rankings", paths.OF_POSTERIOR)
    wildcard_constraints:
        dataset="|".join(settings.ranking.slices) or NO_NAME,
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("merge_rankings"),
    params:
        top=settings.ranking.top,
        temperature=plain(settings.temperature),
        passes=field("posteriors", "passes"),
        version=VERSIONS["merge_rankings"],
    script:
        "../../scripts/merge_rankings.py"


ruleorder: merge_rankings > rank


rule radius:
    """Measure how far each query may move before its top-1 changes."""
    input:
        unpack(posterior_on_split),
        ranking=paths.RANKING,
    output:
        paths.RADII,
    log:
        log_file("radius", paths.OF_POSTERIOR),
    benchmark:
        benchmark_file("radius", paths.OF_POSTERIOR)
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("radius"),
    params:
        **plain(settings.radius),
        search=settings.ranking.search,
        passes=field("posteriors", "passes"),
        version=VERSIONS["radius"],
    script:
        "../../scripts/radius.py"


rule score:
    """Compute one uncertainty per query, estimator and protocol, and whether the top-1 is right."""
    input:
        split=paths.SPLIT,
        ranking=paths.RANKING,
        radii=radii_if_used,
        temperatures=fitted_temperatures,
        spread=spread_if_adapted,
    output:
        paths.SCORES,
    log:
        log_file("score", paths.OF_POSTERIOR),
    benchmark:
        benchmark_file("score", paths.OF_POSTERIOR)
    conda:
        "../../envs/overtop.yaml"
    resources:
        **request("score"),
    params:
        estimators=settings.estimators,
        protocols=field("posteriors", "protocols"),
        temperature=plain(settings.temperature),
        version=VERSIONS["score"],
    script:
        "../../scripts/score.py"
