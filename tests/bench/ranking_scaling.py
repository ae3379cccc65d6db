"""Time of the ranking pass per pair of query and gallery item, at growing numbers of both."""

from functools import partial

from bench.ranking_pass import rank_embeddings
from bench.sizes import BenchmarkSizes
from bench.synthetic_embeddings import make_embeddings
from bench.targets import PartResult, check_target
from bench.timing import time_interleaved

MAX_RATIO = 1.5
REPEATS = 3


def run(sizes: BenchmarkSizes) -> PartResult:
    """Time the ranking pass at growing sizes.

    The checked figure is the largest time per pair over the smallest one among the runs with at least
    `scaling_min_captions` captions; in smaller runs the fixed cost of a pass dominates.
    """
    sources = {shape: make_embeddings(*shape, sizes.scaling_samples, sizes.dim) for shape in sizes.scaling_shapes}
    calls = {f"{captions} x {images}": partial(rank_embeddings, *both) for (captions, images), both in sources.items()}
    table = time_interleaved(calls, REPEATS).assign(
        captions=[captions for captions, _ in sources],
        images=[images for _, images in sources],
        samples=sizes.scaling_samples,
    )
    table["ns_per_cell"] = 1e9 * table["min_s"] / (table["captions"] * table["images"] * table["samples"])
    checked = table.loc[table["captions"] >= sizes.scaling_min_captions, "ns_per_cell"]
    name = (
        "ranking pass, largest over smallest time per query x item "
        f"from {sizes.scaling_min_captions} to {table['captions'].max()} captions"
    )
    return PartResult({"growth": table}, [check_target(name, checked.max() / checked.min(), "at most", MAX_RATIO)])
