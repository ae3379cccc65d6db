rule fetch:
    """Bring the files of a split here and record their digests."""
    output:
        "data/raw/{dataset}/{split}/source.json",
    log:
        "logs/fetch/{dataset}/{split}.log",
    benchmark:
        "benchmarks/fetch/{dataset}/{split}.tsv"
    retries: 2
    conda:
        "../../envs/overtop.yaml"
    resources:
        mem_mb=4000,
    params:
        spec=fetch_spec,
        sources=fetch_sources,
        seed=settings.seed,
        version=VERSIONS["fetch"],
    script:
        "../../scripts/fetch.py"


rule split:
    """Write who is in a split and which caption belongs to which image; prove the declared counts."""
    input:
        "data/raw/{dataset}/{split}/source.json",
    output:
        "data/splits/{dataset}/{split}.parquet",
    log:
        "logs/split/{dataset}/{split}.log",
    benchmark:
        "benchmarks/split/{dataset}/{split}.tsv"
    conda:
        "../../envs/overtop.yaml"
    params:
        spec=split_spec,
        version=VERSIONS["split"],
    script:
        "../../scripts/split.py"


rule import_embeddings:
    """Turn embeddings made elsewhere into shards."""
    input:
        source="data/raw/{dataset}/{split}/source.json",
    output:
        image=f"results/embeddings/{{dataset}}/{{split}}/{IMPORTED}/samples/image-0of1.h5",
        text=f"results/embeddings/{{dataset}}/{{split}}/{IMPORTED}/samples/text-0of1.h5",
    log:
        "logs/import_embeddings/{dataset}/{split}.log",
    benchmark:
        "benchmarks/import_embeddings/{dataset}/{split}.tsv"
    conda:
        "../../envs/overtop.yaml"
    resources:
        mem_mb=4000,
    params:
        on_error=on_error,
        version=VERSIONS["import_embeddings"],
    script:
        "../../scripts/import_embeddings.py"


rule prefetch:
    """All data and weights of a table, on a node with network: afterwards its jobs need none."""
    input:
        prefetch_inputs,
    output:
        "data/prefetch/{table}.json",
    log:
        "logs/prefetch/{table}.log",
    benchmark:
        "benchmarks/prefetch/{table}.tsv"
    conda:
        "../../envs/overtop.yaml"
    params:
        version=VERSIONS["prefetch"],
    script:
        "../../scripts/prefetch.py"
