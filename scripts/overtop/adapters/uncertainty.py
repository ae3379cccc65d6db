"""The variance that trained adapters give to every item: what the data leave open plus what the network does."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from overtop.adapters.model import Adapter, variance
from overtop.adapters.pairs import scaled
from overtop.adapters.spread import Spread
from overtop.adapters.storage import Adapters
from overtop.device import reproducible
from overtop.seeds import derive_seed
from overtop.storage.shards import EmbeddingSource
from overtop.terms import Direction

_BLOCK = 1024


def uncertainty(adapter: Adapter, items: torch.Tensor, passes: int, seed: int) -> np.ndarray:
    """Aleatoric plus epistemic variance, each a mean over dimensions (Eq. 9 and 10 of the paper).

    Aleatoric is the variance of the predicted density, dropout off; epistemic the variance of the predicted mean over
    passes with dropout on. A pass thins the network once, for all items alike, so that what it says of an item does
    not depend on the others.

    Args:
        adapter: of the items' modality.
        items: (n, D) float32, from `scaled`.
        passes: with dropout on.
        seed: of the passes; on one machine it fixes the result.

    Returns:
        (n,) float64.
    """
    adapter.eval()
    parts = []
    with reproducible(threads=1, seed=seed), torch.inference_mode():
        masks = adapter.masks(passes)
        for block in items.split(_BLOCK):
            _, log_alpha, log_beta = adapter(block)
            epistemic = adapter.thinned_means(block, masks).double().var(dim=0)
            parts.append((variance(log_alpha, log_beta) + epistemic).mean(dim=1))
    return torch.cat(parts).numpy()


def spread_of(
    adapters: Adapters, images: EmbeddingSource, texts: EmbeddingSource, encoders: Sequence[Mapping[str, Any]]
) -> dict[Direction, Spread]:
    """The spread of every image and caption of a posterior, under both protocols.

    Adapters see one embedding of an item: the mean direction over the posterior's samples.

    Args:
        adapters: trained on the same encoder.
        images: queries of i2t.
        texts: queries of t2i.
        encoders: the shards' facts about each encoder of the posterior.

    Raises:
        OvertopError: the adapters are for another encoder or width, or an embedding is zero or not finite.
    """
    adapters.check((*images.dims, *texts.dims), encoders)
    sides: dict[Direction, tuple[Any, EmbeddingSource]] = {"t2i": ("text", texts), "i2t": ("image", images)}
    spreads: dict[Direction, Spread] = {}
    for direction, (modality, source) in sides.items():
        items = scaled(source)
        seed = derive_seed(adapters.seed, "adapter passes", adapters.spec.seed, modality)
        spreads[direction] = Spread(
            source.item_ids,
            {
                protocol: uncertainty(fitted.adapters[modality], items, adapters.spec.passes, seed)
                for protocol, fitted in adapters.fitted.items()
            },
        )
    return spreads
