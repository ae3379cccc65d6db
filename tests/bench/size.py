"""How large the benchmark's inputs are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Sizes of one run.

    Attributes:
        captions, images, samples, dim: of the embeddings that are ranked and scored (M, N, S, D).
        repeats: how often each timed call is made, in turn with those it is compared to.
        compared: queries of each direction on which a plain reference runs; its time is scaled up to all queries.
        growth: (captions, images) of the growing sizes; the bar counts from `medium` on.
        medium: captions of the size from which the cost must be linear.
        growth_samples: S of the growing sizes and of the memory test.
        memory: captions of the two runs whose peak memory is compared.
        resamples, evaluated: of the bootstrap, resamples and queries.
        million: items of the large gallery.
        architecture, photographs, passes, embedding_repeats: of the embedding, S of its dropout, how often it is timed.
    """

    captions: int = 5_000
    images: int = 1_000
    samples: int = 10
    dim: int = 768
    repeats: int = 7
    compared: int = 20
    growth: tuple[tuple[int, int], ...] = ((1_250, 250), (2_500, 500), (5_000, 1_000), (12_500, 2_500), (25_000, 5_000))
    medium: int = 5_000
    growth_samples: int = 2
    memory: tuple[int, int] = (5_000, 25_000)
    resamples: int = 2_000
    evaluated: int = 25_000
    million: int = 1_000_000
    architecture: str = "ViT-B-32"
    photographs: int = 32
    passes: int = 3
    embedding_repeats: int = 3


FULL = Size()
QUICK = Size(
    captions=120,
    images=40,
    samples=3,
    dim=16,
    repeats=2,
    compared=4,
    growth=((60, 20), (120, 40), (240, 80)),
    medium=120,
    memory=(100, 400),
    resamples=100,
    evaluated=200,
    million=2_000,
    architecture="shapes-vit",
    photographs=4,
    passes=2,
    embedding_repeats=1,
)
