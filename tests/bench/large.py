"""Does a gallery of a million items fit?"""

from bench import million
from bench.bars import Outcome, bar
from bench.size import Size

LIMIT_GB = 4


def run(size: Size) -> Outcome:
    """Search a gallery that is nowhere whole; the bar is the largest peak of all ways to search it."""
    table = million.run(size.million)
    worst = table.loc[table["peak_mb"].idxmax()]
    name = f"gallery of {size.million:,} items, largest peak memory ({worst['method']})"
    return Outcome({"million": table}, [bar(name, worst["peak_mb"] / 1024, "at most", LIMIT_GB, " GB")])
