"""Does the ranking pass cost the same for each pair of query and gallery item, whatever their numbers?"""

from functools import partial

from bench.bars import Outcome, bar
from bench.embeddings import embeddings
from bench.passes import ranked
from bench.size import Size
from bench.timing import interleaved

LIMIT = 1.5
REPEATS = 3


def run(size: Size) -> Outcome:
    """Time the pass at growing sizes, in turn.

    The bar is the largest over the smallest time per query x gallery item, from the medium size up: below it, what is
    done once a pass still weighs.
    """
    sources = {shape: embeddings(*shape, size.growth_samples, size.dim) for shape in size.growth}
    times = interleaved({f"{m} x {n}": partial(ranked, *both) for (m, n), both in sources.items()}, REPEATS)
    table = times.assign(
        captions=[captions for captions, _ in sources],
        images=[images for _, images in sources],
        samples=size.growth_samples,
    )
    table["ns_per_cell"] = 1e9 * table["min_s"] / (table["captions"] * table["images"] * table["samples"])
    counted = table.loc[table["captions"] >= size.medium, "ns_per_cell"]
    largest = table["captions"].max()
    name = f"linear cost, largest over smallest time per query x item from {size.medium} to {largest} captions"
    return Outcome({"growth": table}, [bar(name, counted.max() / counted.min(), "at most", LIMIT)])
