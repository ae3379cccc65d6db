# Data sets: fetch the files of a split, write its manifest, import embeddings.


include: "data.inputs.smk"


rule fetch:
    """Copy or download the files of a split and record their digests."""
    input:
        fetched_from,
    output:
        paths.SOURCE,
    log:
        log_file("fetch", paths.OF_SPLIT),
    benchmark:
        benchmark_file("fetch", paths.OF_SPLIT)
    retries: 2
    conda:
        "../../envs/overtop.yaml"
    params:
        spec=fetch_spec,
        sources=fetch_sources,
        data=data_folder,
        seed=settings.seed,
        version=VERSIONS["fetch"],
    script:
        "../../scripts/fetch.py"


rule split:
    """Write the manifest of a split: its images, its captions and their pairs; check the declared counts."""
    input:
        split_source,
    output:
        paths.SPLIT,
    log:
        log_file("split", paths.OF_SPLIT),
    benchmark:
        benchmark_file("split", paths.OF_SPLIT)
    conda:
        "../../envs/overtop.yaml"
    resources:
        **request("split"),
    params:
        spec=split_spec,
        data=data_folder,
        version=VERSIONS["split"],
    script:
        "../../scripts/split.py"


rule import_embeddings:
    """Write embeddings that were made elsewhere as shards."""
    input:
        source=paths.SOURCE,
    output:
        **{
            modality: paths.fill(
                paths.SHARD,
                encoder=IMPORTED,
                sampling=paths.SAMPLES,
                modality=modality,
                shard=0,
                shards=1,
            )
            for modality in MODALITIES
        },
    log:
        log_file("import_embeddings", paths.OF_SPLIT),
    benchmark:
        benchmark_file("import_embeddings", paths.OF_SPLIT)
    conda:
        "../../envs/overtop.yaml"
    resources:
        **request("import_embeddings"),
    params:
        on_error=imported_on_error,
        data=data_folder,
        version=VERSIONS["import_embeddings"],
    script:
        "../../scripts/import_embeddings.py"


rule prefetch:
    """Download all data and weights of a table, on a node with network; its jobs then need none."""
    input:
        prefetch_files,
    output:
        paths.PREFETCH,
    log:
        log_file("prefetch", "{table}"),
    benchmark:
        benchmark_file("prefetch", "{table}")
    conda:
        "../../envs/overtop.yaml"
    params:
        data=data_folder,
        version=VERSIONS["prefetch"],
    script:
        "../../scripts/prefetch.py"
