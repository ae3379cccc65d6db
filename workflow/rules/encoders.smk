rule features:
    """What locked towers say of a split: computed once, whatever number of heads is trained on it."""
    input:
        "data/splits/{dataset}/{split}.parquet",
    output:
        "data/features/{dataset}/{split}/{architecture}.safetensors",
    log:
        "logs/features/{dataset}/{split}/{architecture}.log",
    benchmark:
        "benchmarks/features/{dataset}/{split}/{architecture}.tsv"
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=1,
    params:
        version=VERSIONS["features"],
    script:
        "../../scripts/features.py"


rule train:
    """Train an encoder that is declared with `train`."""
    input:
        unpack(train_inputs),
    output:
        "data/encoders/{encoder}.safetensors",
    log:
        "logs/train/{encoder}.log",
    benchmark:
        "benchmarks/train/{encoder}.tsv"
    conda:
        "../../envs/overtop.yaml"
    threads: train_threads
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=1,
    params:
        encoder=encoder_spec,
        seed=settings.seed,
        version=VERSIONS["train"],
    script:
        "../../scripts/train.py"


rule weights:
    """Download an encoder's weights, and record which file they are."""
    output:
        "data/weights/{encoder}.json",
    log:
        "logs/weights/{encoder}.log",
    benchmark:
        "benchmarks/weights/{encoder}.tsv"
    retries: 2
    conda:
        "../../envs/overtop.yaml"
    params:
        encoder=downloaded_encoder,
        version=VERSIONS["weights"],
    script:
        "../../scripts/weights.py"


rule embed:
    """All samples of the embeddings of one slice of one modality."""
    input:
        unpack(embed_inputs),
    output:
        "results/embeddings/{dataset}/{split}/{encoder}/{sampling}/{modality}-{shard}of{shards}.h5",
    log:
        "logs/embed/{dataset}/{split}/{encoder}/{sampling}/{modality}-{shard}of{shards}.log",
    benchmark:
        "benchmarks/embed/{dataset}/{split}/{encoder}/{sampling}/{modality}-{shard}of{shards}.tsv"
    # Before more training: the passes of MC dropout are the longest job of all.
    priority: 1
    conda:
        "../../envs/overtop.yaml"
    resources:
        mem_mb=8000,
        runtime=240,
        gpu=1,
    params:
        encoder=encoder_spec,
        batch_size=batch_size,
        precision=settings.embedding.precision,
        compile=settings.embedding.compile,
        many_samples_dtype=settings.embedding.many_samples_dtype,
        on_error=on_error,
        seed=settings.seed,
        version=VERSIONS["embed"],
    script:
        "../../scripts/embed.py"
