"""The words that configuration, columns and code share."""

from typing import Literal

Direction = Literal["t2i", "i2t"]
"""`t2i`: a caption ranks the images; `i2t`: an image ranks the captions."""

Protocol = Literal["published", "corrected"]
"""`published`: the released code's choices, quirks included; `corrected`: ours."""

Binning = Literal["equal_width", "equal_count"]
"""How uncertainty is cut into levels."""

Positives = Literal["labelled", "extended"]
"""`labelled`: the data set's own pairs; `extended`: every item that is known to match."""

DIRECTIONS: tuple[Direction, ...] = ("t2i", "i2t")
PROTOCOLS: tuple[Protocol, ...] = ("published", "corrected")
BINNINGS: tuple[Binning, ...] = ("equal_width", "equal_count")
