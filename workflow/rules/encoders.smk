# Encoders: download or train their weights, and embed data sets with them.


include: "encoders.inputs.smk"


rule features:
    """Embed a split with the locked towers of an architecture, once for all heads that are trained on it."""
    input:
        split=paths.SPLIT,
        source=source_record,
    output:
        paths.FEATURES,
    log:
        log_file("features", f"{paths.OF_SPLIT}/{{architecture}}"),
    benchmark:
        benchmark_file("features", f"{paths.OF_SPLIT}/{{architecture}}")
    conda:
        "../../envs/overtop.yaml"
    threads: 2
    resources:
        **request("features"),
        gpu=1,
    params:
        data=data_folder,
        version=VERSIONS["features"],
    script:
        "../../scripts/features.py"


rule train:
    """Train an encoder that is declared with `train`."""
    input:
        unpack(train_files),
    output:
        paths.CHECKPOINT,
    log:
        log_file("train", "{encoder}"),
    benchmark:
        benchmark_file("train", "{encoder}")
    wildcard_constraints:
        encoder=other_encoders(),
    conda:
        "../../envs/overtop.yaml"
    threads: train_threads
    resources:
        **request("train"),
        gpu=1,
    params:
        encoder=entry("encoders"),
        data=data_folder,
        seed=settings.seed,
        version=VERSIONS["train"],
    script:
        "../../scripts/train.py"


rule finetune:
    """Fine-tune an encoder that is declared with `finetune`; a killed job continues where it stopped."""
    input:
        unpack(finetune_files),
    output:
        checkpoint=paths.CHECKPOINT,
        log=paths.TRAINING_LOG,
    log:
        log_file("finetune", "{encoder}"),
    benchmark:
        benchmark_file("finetune", "{encoder}")
    wildcard_constraints:
        encoder=finetuned_encoders(),
    conda:
        "../../envs/overtop.yaml"
    threads: finetune_threads
    resources:
        **request("finetune"),
        gpu=finetune_gpus,
    params:
        encoder=entry("encoders"),
        base=finetune_base,
        data=data_folder,
        seed=settings.seed,
        version=VERSIONS["finetune"],
    script:
        "../../scripts/finetune.py"


rule weights:
    """Download the weights of an encoder, and record which file they are."""
    output:
        paths.WEIGHTS,
    log:
        log_file("weights", "{encoder}"),
    benchmark:
        benchmark_file("weights", "{encoder}")
    retries: 2
    conda:
        "../../envs/overtop.yaml"
    params:
        encoder=downloaded_encoder,
        data=data_folder,
        version=VERSIONS["weights"],
    script:
        "../../scripts/weights.py"


rule embed:
    """Embed one slice of the images and of the captions of a split: all samples, with one loaded encoder."""
    input:
        unpack(embed_files),
    output:
        **{
            modality: paths.fill(paths.SHARD, modality=modality)
            for modality in MODALITIES
        },
    log:
        log_file("embed", paths.OF_SHARDS),
    benchmark:
        benchmark_file("embed", paths.OF_SHARDS)
    # Before further training: MC-dropout passes are the longest jobs.
    priority: 1
    conda:
        "../../envs/overtop.yaml"
    threads: embed_threads
    resources:
        **request("embed"),
        gpu=1,
    params:
        encoder=entry("encoders"),
        batch_size=plain(settings.embedding.batch_size),
        precision=settings.embedding.precision,
        compile=settings.embedding.compile,
        many_samples_dtype=settings.embedding.many_samples_dtype,
        on_error=embed_on_error,
        data=data_folder,
        seed=settings.seed,
        version=VERSIONS["embed"],
    script:
        "../../scripts/embed.py"
