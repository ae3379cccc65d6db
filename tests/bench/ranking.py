"""How near is the ranking pass to the bare matrix product?"""

from collections.abc import Callable

import torch

from bench import machine
from bench.bars import Outcome, bar, not_applicable
from bench.embeddings import embeddings
from bench.passes import ranked
from bench.size import Size
from bench.timing import interleaved
from overtop.storage.shards import EmbeddingSource

PRODUCT, FLOAT32, BFLOAT16 = "bare float32 product", "ranking pass, float32", "ranking pass, bfloat16"
FLOAT32_LIMIT, BFLOAT16_LIMIT = 1.5, 0.6


def run(size: Size) -> Outcome:
    """Time the pass, both directions, against the product of the same shape."""
    images, texts = embeddings(size.captions, size.images, size.samples, size.dim)
    native = machine.bfloat16_gain() >= machine.NATIVE
    calls = {PRODUCT: _product(images, texts), FLOAT32: lambda: ranked(images, texts, "float32")}
    if native:
        calls[BFLOAT16] = lambda: ranked(images, texts, "bfloat16")
    times = interleaved(calls, size.repeats)
    for column in ("min_s", "median_s", "cpu_s"):
        times[f"{column}_over_product"] = times[column] / times.loc[PRODUCT, column]
    ratio = times["min_s_over_product"]
    name = "{} over the bare float32 product"
    bars = [bar(name.format(FLOAT32), ratio[FLOAT32], "at most", FLOAT32_LIMIT)]
    if native:
        bars.append(bar(name.format(BFLOAT16), ratio[BFLOAT16], "at most", BFLOAT16_LIMIT))
    else:
        bars.append(not_applicable(name.format(BFLOAT16), f"at most {BFLOAT16_LIMIT}", "bfloat16 is not native here"))
    shape = f"{size.captions} x {size.dim} by {size.dim} x {size.images}, {size.samples} samples"
    return Outcome({"ranking": times.reset_index().assign(shape=shape)}, bars)


def _product(images: EmbeddingSource, texts: EmbeddingSource) -> Callable[[], None]:
    """The products of all samples, one after the other into one output, and nothing else."""
    output = torch.empty(texts.n_items, images.n_items)
    samples = [
        [torch.as_tensor(side.read(s, 0, side.n_items)) for side in (texts, images)] for s in range(images.n_samples)
    ]

    def multiply() -> None:
        for left, right in samples:
            torch.mm(left, right.T, out=output)

    return multiply
