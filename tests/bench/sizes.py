"""Sizes of the benchmark's inputs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BenchmarkSizes:
    """Sizes of one run of the benchmark.

    Attributes:
        captions, images, samples, dim: shape of the embeddings that are ranked and scored.
        repeats: how often each call is timed.
        reference_queries: queries per direction for which plain references run; their time is scaled to all queries.
        scaling_shapes: (captions, images) of the runs that measure how the cost grows.
        scaling_min_captions: the cost must be linear from this number of captions on.
        scaling_samples: samples per item in the scaling and memory measurements.
        memory_captions: captions of the two runs whose peak memory is compared.
        stage_shape, stage_samples: (captions, images) and samples of the run from embeddings to a table.
        resamples, evaluated_queries: of the bootstrap.
        large_gallery: items of the large gallery.
        architecture: of the encoder whose embedding speed is measured.
        threshold_draws: samples in which a threshold is chosen, per scenario.
        label_draws: samples of labelled queries, per kind of search and size.
        photographs, passes, embedding_repeats: images to embed, passes of MC dropout, how often each call is timed.
        attacked_images, attack_steps: images and steps of an attack on the same architecture.
        robust_images, robust_steps: images and steps of an evaluation that stops early, on a small encoder.
        report_images, report_estimators, report_resamples: of the data sets of a report.
    """

    captions: int = 5_000
    images: int = 1_000
    samples: int = 10
    dim: int = 768
    repeats: int = 7
    reference_queries: int = 20
    scaling_shapes: tuple[tuple[int, int], ...] = (
        (1_250, 250),
        (2_500, 500),
        (5_000, 1_000),
        (12_500, 2_500),
        (25_000, 5_000),
    )
    scaling_min_captions: int = 5_000
    scaling_samples: int = 2
    memory_captions: tuple[int, int] = (5_000, 25_000)
    stage_shape: tuple[int, int] = (25_000, 5_000)
    stage_samples: int = 12
    resamples: int = 2_000
    evaluated_queries: int = 25_000
    large_gallery: int = 1_000_000
    threshold_draws: int = 500
    label_draws: int = 2_000
    architecture: str = "ViT-B-32"
    photographs: int = 32
    passes: int = 3
    embedding_repeats: int = 3
    attacked_images: int = 4
    attack_steps: int = 4
    robust_images: int = 256
    robust_steps: int = 40
    report_images: int = 5_000
    report_estimators: int = 16
    report_resamples: int = 100


FULL = BenchmarkSizes()
QUICK = BenchmarkSizes(
    captions=120,
    images=40,
    samples=3,
    dim=16,
    repeats=2,
    reference_queries=4,
    scaling_shapes=((60, 20), (120, 40), (240, 80)),
    scaling_min_captions=120,
    memory_captions=(100, 400),
    stage_shape=(240, 80),
    stage_samples=3,
    resamples=100,
    evaluated_queries=200,
    large_gallery=2_000,
    threshold_draws=2,
    label_draws=2,
    architecture="shapes-vit",
    photographs=4,
    passes=2,
    embedding_repeats=1,
    attacked_images=4,
    attack_steps=2,
    robust_images=8,
    robust_steps=5,
    report_images=60,
    report_estimators=3,
)
