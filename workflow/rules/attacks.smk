# Attacks: embed the images of data sets as attacks on an encoder perturb them.


include: "attacks.inputs.smk"


rule attack:
    """Attack one slice of the images, and embed the perturbed images: all samples."""
    input:
        unpack(attack_files),
    output:
        paths.ATTACKED,
    log:
        log_file("attack", paths.OF_ATTACKED),
    benchmark:
        benchmark_file("attack", paths.OF_ATTACKED)
    conda:
        "../../envs/overtop.yaml"
    resources:
        **request("attack"),
        gpu=attack_gpus,
    params:
        attack=entry("attacks"),
        encoder=entry("encoders"),
        batch_size=settings.embedding.batch_size.image,
        many_samples_dtype=settings.embedding.many_samples_dtype,
        on_error=embed_on_error,
        data=data_folder,
        seed=settings.seed,
        version=VERSIONS["attack"],
    script:
        "../../scripts/attack.py"


rule perturb:
    """Keep the pixels of the first batch of a split under an attack, and draw some of them beside the clean images."""
    input:
        unpack(perturb_files),
    output:
        pixels=f"{paths.PERTURBED}.h5",
        pdf=f"{paths.PERTURBED}.pdf",
        png=report(
            f"{paths.PERTURBED}.png",
            caption="../report/perturbed.rst",
            category="Attacks",
        ),
    log:
        log_file("perturb", paths.OF_ATTACK),
    benchmark:
        benchmark_file("perturb", paths.OF_ATTACK)
    conda:
        "../../envs/overtop.yaml"
    resources:
        **request("perturb"),
        gpu=1,
    params:
        attack=entry("attacks"),
        encoder=entry("encoders"),
        shards=shard_count,
        batch_size=settings.embedding.batch_size.image,
        on_error=embed_on_error,
        data=data_folder,
        seed=settings.seed,
        version=VERSIONS["perturb"],
    script:
        "../../scripts/perturb.py"
