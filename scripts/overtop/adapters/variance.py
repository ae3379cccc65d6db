"""The variance that trained adapters predict for embeddings: aleatoric plus epistemic."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from overtop.adapters.model import Adapter, generalised_gaussian_variance
from overtop.adapters.pairs import read_adapter_inputs
from overtop.adapters.spread import Spread
from overtop.adapters.storage import AdapterBundle
from overtop.device import reproducible
from overtop.seeds import derive_seed
from overtop.storage.shards import EmbeddingSource
from overtop.terms import Direction, Modality

_BLOCK_ITEMS = 1024  # fixed, because matrix products may round differently in blocks of another size


def predict_variance(adapter: Adapter, items: torch.Tensor, passes: int, seed: int) -> np.ndarray:
    """Aleatoric plus epistemic variance, each a mean over dimensions (Eq. 9 and 10 of the ProbVLM paper).

    The aleatoric part is the variance of the predicted density without dropout, the epistemic part the variance of the
    predicted mean over passes with dropout. All items share the dropout mask of a pass, so the result for one item does
    not depend on the others.

    Args:
        adapter: adapter of the items' modality.
        items: (n, D) float32, from `read_adapter_inputs`.
        passes: number of passes with dropout.
        seed: seed of the passes; on one machine it determines the result.

    Returns:
        (n,) float64.
    """
    adapter.eval()
    parts = []
    with reproducible(threads=1, seed=seed), torch.inference_mode():
        masks = adapter.draw_masks(passes)
        for block in items.split(_BLOCK_ITEMS):
            _, log_alpha, log_beta = adapter(block)
            epistemic = adapter.masked_means(block, masks).double().var(dim=0)
            parts.append((generalised_gaussian_variance(log_alpha, log_beta) + epistemic).mean(dim=1))
    return torch.cat(parts).numpy()


def predict_spreads(
    bundles: Sequence[AdapterBundle],
    images: EmbeddingSource,
    texts: EmbeddingSource,
    encoders: Sequence[Mapping[str, Any]],
) -> dict[Direction, Spread]:
    """The spread of every image and caption of a posterior, under each protocol that adapters were trained under.

    An adapter receives one embedding per item: the mean direction over the posterior's samples.

    Args:
        bundles: adapters trained on the same encoder, such as one bundle per protocol.
        images: the queries of i2t.
        texts: the queries of t2i.
        encoders: provenance of each encoder of the posterior.

    Raises:
        OvertopError: the adapters are for another encoder or width, or an embedding is zero or not finite.
    """
    for bundle in bundles:
        bundle.check_embeddings((*images.dims, *texts.dims), encoders)
    queries: dict[Direction, tuple[Modality, EmbeddingSource]] = {"t2i": ("text", texts), "i2t": ("image", images)}
    spreads: dict[Direction, Spread] = {}
    for direction, (modality, source) in queries.items():
        items = read_adapter_inputs(source)
        variance = {
            protocol: predict_variance(
                trained.by_modality[modality],
                items,
                bundle.spec.passes,
                derive_seed(bundle.seed, "adapter passes", bundle.spec.seed, modality),
            )
            for bundle in bundles
            for protocol, trained in bundle.by_protocol.items()
        }
        spreads[direction] = Spread(source.item_ids, variance)
    return spreads
