"""Time of the ranking pass relative to the matrix product that it contains."""

from collections.abc import Callable

import torch

from bench.ranking_pass import rank_embeddings, read_samples
from bench.sizes import BenchmarkSizes
from bench.synthetic_embeddings import make_embeddings
from bench.targets import PartResult, check_target, not_applicable
from bench.timing import time_interleaved
from overtop.retrieval.matmul import has_bfloat16_tiles
from overtop.storage.shards import EmbeddingSource

PRODUCT, FLOAT32, BFLOAT16 = "bare float32 product", "ranking pass, float32", "ranking pass, bfloat16"
MAX_FLOAT32_RATIO, MAX_BFLOAT16_RATIO = 1.5, 0.6


def run(sizes: BenchmarkSizes) -> PartResult:
    """Time the ranking pass in both directions and a float32 matrix product of the same shape."""
    images, texts = make_embeddings(sizes.captions, sizes.images, sizes.samples, sizes.dim)
    has_tiles = has_bfloat16_tiles()
    calls = {PRODUCT: _bare_product(images, texts), FLOAT32: lambda: rank_embeddings(images, texts, "float32")}
    if has_tiles:
        calls[BFLOAT16] = lambda: rank_embeddings(images, texts, "bfloat16")
    times = time_interleaved(calls, sizes.repeats)
    for column in ("min_s", "median_s", "cpu_s"):
        times[f"{column}_over_product"] = times[column] / times.loc[PRODUCT, column]
    ratio = times["min_s_over_product"]
    name = "{}, time over that of the bare float32 product"
    checks = [check_target(name.format(FLOAT32), ratio[FLOAT32], "at most", MAX_FLOAT32_RATIO)]
    if has_tiles:
        checks.append(check_target(name.format(BFLOAT16), ratio[BFLOAT16], "at most", MAX_BFLOAT16_RATIO))
    else:
        target = f"at most {MAX_BFLOAT16_RATIO}"
        checks.append(not_applicable(name.format(BFLOAT16), target, "this processor has no tiles for bfloat16"))
    shape = f"{sizes.captions} x {sizes.dim} by {sizes.dim} x {sizes.images}, {sizes.samples} samples"
    return PartResult({"ranking": times.reset_index().assign(shape=shape)}, checks)


def _bare_product(images: EmbeddingSource, texts: EmbeddingSource) -> Callable[[], None]:
    """Return a function that multiplies texts by images for every sample and does nothing else."""
    output = torch.empty(texts.n_items, images.n_items)
    factors = [
        (torch.as_tensor(text), torch.as_tensor(image))
        for text, image in zip(read_samples(texts), read_samples(images), strict=True)
    ]

    def multiply() -> None:
        for left, right in factors:
            torch.mm(left, right.T, out=output)

    return multiply
