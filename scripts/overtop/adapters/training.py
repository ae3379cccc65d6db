"""Training a pair of adapters, one per modality, on the embeddings of a frozen encoder."""

import copy
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from overtop.adapters.loss import pair_loss
from overtop.adapters.model import MODALITIES, Adapter, Modality
from overtop.adapters.pairs import Pairs
from overtop.config.adapters import AdapterSpec
from overtop.device import reproducible
from overtop.errors import OvertopError
from overtop.seeds import derive_seed
from overtop.terms import Protocol

_LOG = logging.getLogger(__name__)
_THREADS = 1  # part of the result: sums depend on it
_BLOCK = 2048


@dataclass(frozen=True)
class Fitted:
    """Trained adapters, and how it went.

    Attributes:
        adapters: by modality, as they were after the best epoch.
        train_loss: mean over each epoch's batches.
        val_loss: after each epoch, dropout off.
        best_epoch: from 0, the first of the lowest `val_loss`.
    """

    adapters: Mapping[Modality, Adapter]
    train_loss: list[float]
    val_loss: list[float]
    best_epoch: int


def train_adapters(name: str, spec: AdapterSpec, train: Pairs, val: Pairs, protocol: Protocol, seed: int) -> Fitted:
    """Train both adapters together under one protocol, on one thread.

    Both protocols start from the same weights and see the same batches. On one machine the same arguments give the
    same weights.

    Args:
        name: the adapter's name in config.yaml.
        spec: its entry.
        train: pairs to learn from: in each epoch every image meets one of its captions, chosen at random.
        val: pairs whose loss chooses the epoch, all of them.
        protocol: which likelihood.
        seed: of the run; `spec.seed` tells repetitions apart.

    Raises:
        OvertopError: train and val differ in width, or the loss is not finite.
    """
    widths = train.image.shape[1], train.text.shape[1], val.image.shape[1], val.text.shape[1]
    if len(set(widths)) > 1:
        raise OvertopError(f"adapters.{name}: embeddings of widths {widths}; train and val must be of one encoder")
    train_loss, val_loss, best = [], [], {}
    rng = np.random.default_rng(derive_seed(seed, "adapter batches", spec.seed))
    with reproducible(_THREADS, derive_seed(seed, "adapter weights", spec.seed)):
        adapters = {modality: Adapter(widths[0], spec) for modality in MODALITIES}
        parameters = [p for adapter in adapters.values() for p in adapter.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=spec.learning_rate, fused=True)
        for epoch in tqdm(range(spec.epochs), desc=f"adapt {name} ({protocol})", unit="epoch", disable=None):
            train_loss.append(_one_epoch(adapters, optimizer, train, protocol, spec, rng))
            val_loss.append(_evaluate(adapters, val, protocol, spec))
            if not math.isfinite(train_loss[-1] + val_loss[-1]):
                raise OvertopError(
                    f"adapters.{name}: training under {protocol!r} diverged in epoch {epoch + 1}; lower learning_rate"
                )
            if val_loss[-1] < min(val_loss[:-1], default=math.inf):
                best = {modality: copy.deepcopy(adapter.state_dict()) for modality, adapter in adapters.items()}
    for modality, adapter in adapters.items():
        adapter.load_state_dict(best[modality])
        adapter.eval().requires_grad_(False)
    best_epoch = int(np.argmin(val_loss))
    _LOG.info("%s, %s: val loss %.5f in epoch %d", name, protocol, val_loss[best_epoch], best_epoch + 1)
    return Fitted(adapters, train_loss, val_loss, best_epoch)


def draw_pairs(image_of_caption: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For every image that has one, a random caption's index; in random order."""
    order = rng.permutation(len(image_of_caption))
    return rng.permutation(order[np.unique(image_of_caption[order], return_index=True)[1]])


def _one_epoch(
    adapters: Mapping[Modality, Adapter],
    optimizer: torch.optim.Optimizer,
    pairs: Pairs,
    protocol: Protocol,
    spec: AdapterSpec,
    rng: np.random.Generator,
) -> float:
    for adapter in adapters.values():
        adapter.train()
    losses = []
    drawn = draw_pairs(pairs.image_of_caption, rng)
    for start in range(0, len(drawn), spec.batch_size):
        loss = _loss(adapters, pairs, drawn[start : start + spec.batch_size], protocol, spec)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))


@torch.inference_mode()
def _evaluate(adapters: Mapping[Modality, Adapter], pairs: Pairs, protocol: Protocol, spec: AdapterSpec) -> float:
    """The loss over all pairs, dropout off."""
    for adapter in adapters.values():
        adapter.eval()
    blocks = np.array_split(np.arange(len(pairs.text)), math.ceil(len(pairs.text) / _BLOCK))
    losses = [_loss(adapters, pairs, block, protocol, spec).item() for block in blocks]
    return float(np.average(losses, weights=[len(block) for block in blocks]))


def _loss(
    adapters: Mapping[Modality, Adapter], pairs: Pairs, captions: np.ndarray, protocol: Protocol, spec: AdapterSpec
) -> torch.Tensor:
    targets = pairs.image[pairs.image_of_caption[captions]], pairs.text[captions]
    return pair_loss((adapters["image"](targets[0]), adapters["text"](targets[1])), targets, protocol, spec)
