"""Bounds of what is read from files that others made, checked before memory is allocated.

A file of some megabytes can declare, or expand to, any size. What is larger than a bound is an error that names the
file and the bound. No bound is an option: each is several times the size of the largest file of its kind in use.
"""

MAX_TEXT_BYTES = 512 * 2**20
"""A text that is parsed as a whole, after decompression: the instances of COCO's train2017 have 448 MB. As Python
objects a text takes up to about twenty times its size."""

MAX_TABLE_BYTES = 2 * 2**30
"""A CSV file, or the columns that are read from a parquet file: twelve million captions have 1 to 2 GB."""

MAX_TABLE_ROWS = 2**25
"""Rows of a table, 34 million: run-length encoding stores a billion equal rows in a few bytes."""

MAX_IMAGE_BYTES = 256 * 2**20
"""An encoded image, and any other file of an archive that is no text."""

MAX_IMAGE_PIXELS = 2**27
"""Pixels of an image, 134 million: 400 MB as RGB."""

MAX_ASPECT_RATIO = 500
"""Longer by shorter side of an image: encoders resize the shorter one to hundreds of pixels, and the longer with it."""

MAX_SAMPLE_TEXT_BYTES = 2**20
"""The captions or the label of one sample of a shard."""

MAX_SHARDS = 10**6
"""Shards of a split: a number with more digits is damage."""

MAX_EXPANSION = 100
"""Bytes of an array, or of the columns of a table, per byte that the file stores for them, beyond `FREE_EXPANSION`:
embeddings hardly compress, and texts padded to the longest one less than this."""

FREE_EXPANSION = 2**28
"""Bytes that an array may have however few bytes the file stores for it, 256 MiB: zeros, or equal names."""

MAX_TENSORS = 50_000
"""Tensors in a file of weights: the largest model of open_clip has about 2,000."""

MAX_CONFIG_VALUES = 100_000
"""Values in a configuration, each counted as often as aliases repeat it: nine aliases of nine aliases and so on are
a billion values in a few lines."""

MAX_CONFIG_DEPTH = 40
"""Depth of a configuration: its deepest key is on level 8."""


def largest_array(stored_bytes: int) -> int:
    """The bound of an array, in bytes, by the bytes that the file stores for it."""
    return max(FREE_EXPANSION, MAX_EXPANSION * stored_bytes)
