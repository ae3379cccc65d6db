rule fetch:
    """Bring a data set's files here and record their digests."""
    output:
        "data/raw/{dataset}/source.json",
    log:
        "logs/fetch/{dataset}.log",
    benchmark:
        "benchmarks/fetch/{dataset}.tsv"
    retries: 2
    conda:
        "../../envs/overtop.yaml"
    params:
        spec=fetch_spec,
        seed=settings.seed,
        version=VERSIONS["fetch"],
    script:
        "../../scripts/fetch.py"


rule split:
    """Write who is in a split and which caption belongs to which image; prove the declared counts."""
    input:
        "data/raw/{dataset}/source.json",
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
        source="data/raw/{dataset}/source.json",
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
