"""Training of adapters, one per modality, on the embeddings of a frozen encoder."""

import copy
import logging
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from overtop.adapters.loss import pair_loss
from overtop.adapters.model import Adapter
from overtop.adapters.pairs import Pairs
from overtop.adapters.storage import AdapterBundle, TrainedAdapters
from overtop.config.adapters import AdapterSpec
from overtop.device import reproducible
from overtop.errors import OvertopError
from overtop.progress import Progress, no_progress
from overtop.seeds import derive_seed
from overtop.terms import MODALITIES, PROTOCOLS, Modality, Protocol

_LOG = logging.getLogger(__name__)
_THREADS = 1  # fixed, because the order of sums depends on it
_MAX_EVALUATION_PAIRS = 2048  # fixed, because the validation loss is a mean over blocks


def train_bundle(
    name: str, spec: AdapterSpec, train: Pairs, val: Pairs, seed: int, *, progress: Progress = no_progress
) -> AdapterBundle:
    """Train the adapters of one encoder under both protocols.

    Args:
        name: name of the adapter in config.yaml.
        spec: its entry there.
        train: pairs to train on.
        val: pairs whose loss selects the epoch.
        seed: seed of the run.
        progress: called after every epoch with the number of epochs over both protocols.

    Raises:
        OvertopError: train and val were not embedded by the same encoder, or the loss is not finite.
    """
    bundle = AdapterBundle(name, spec, train.image.shape[1], train.encoder, seed, by_protocol={})
    bundle.check_embeddings([val.image.shape[1]], [val.encoder])
    by_protocol = {}
    for number, protocol in enumerate(PROTOCOLS):
        protocol_progress = _scale_progress(progress, number, len(PROTOCOLS))
        by_protocol[protocol] = train_adapters(name, spec, train, val, protocol, seed, progress=protocol_progress)
    return replace(bundle, by_protocol=by_protocol)


def train_adapters(
    name: str,
    spec: AdapterSpec,
    train: Pairs,
    val: Pairs,
    protocol: Protocol,
    seed: int,
    *,
    progress: Progress = no_progress,
) -> TrainedAdapters:
    """Train the adapters of both modalities together under one protocol, on one thread.

    Both protocols start from the same weights and see the same batches. On one machine the same arguments give the
    same weights.

    Args:
        name: name of the adapter in config.yaml.
        spec: its entry there.
        train: pairs to train on; every epoch pairs each image with one of its captions, chosen at random.
        val: pairs whose loss selects the epoch; all of them are used.
        protocol: likelihood term to use.
        seed: seed of the run; `spec.seed` distinguishes repetitions.
        progress: called after every epoch.

    Raises:
        OvertopError: train and val differ in width, or the loss is not finite.
    """
    widths = train.image.shape[1], train.text.shape[1], val.image.shape[1], val.text.shape[1]
    if len(set(widths)) > 1:
        raise OvertopError(f"adapters.{name}: embeddings of widths {widths}; embed train and val by the same encoder")
    train_loss, val_loss, best = [], [], {}
    rng = np.random.default_rng(derive_seed(seed, "adapter batches", spec.seed))
    with reproducible(_THREADS, derive_seed(seed, "adapter weights", spec.seed)):
        adapters = {modality: Adapter(widths[0], spec) for modality in MODALITIES}
        parameters = [p for adapter in adapters.values() for p in adapter.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=spec.learning_rate, fused=True)
        for epoch in range(spec.epochs):
            train_loss.append(_train_epoch(adapters, optimizer, train, protocol, spec, rng))
            val_loss.append(_evaluate(adapters, val, protocol, spec))
            if not math.isfinite(train_loss[-1] + val_loss[-1]):
                raise OvertopError(
                    f"adapters.{name}: training under {protocol!r} diverged in epoch {epoch + 1}; lower learning_rate"
                )
            if val_loss[-1] < min(val_loss[:-1], default=math.inf):
                best = {modality: copy.deepcopy(adapter.state_dict()) for modality, adapter in adapters.items()}
            progress(epoch + 1, spec.epochs)
    for modality, adapter in adapters.items():
        adapter.load_state_dict(best[modality])
        adapter.eval().requires_grad_(False)
    best_epoch = int(np.argmin(val_loss))
    _LOG.info("%s, %s: val loss %.5f in epoch %d", name, protocol, val_loss[best_epoch], best_epoch + 1)
    return TrainedAdapters(adapters, train_loss, val_loss, best_epoch)


def _scale_progress(progress: Progress, part: int, parts: int) -> Progress:
    """The progress of one of several parts of equal size, as progress of the whole."""

    def report(done: int, total: int) -> None:
        progress(part * total + done, parts * total)

    return report


def draw_captions(image_of_caption: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The index of one random caption of every image that has captions, in random order."""
    order = rng.permutation(len(image_of_caption))
    return rng.permutation(order[np.unique(image_of_caption[order], return_index=True)[1]])


def _train_epoch(
    adapters: Mapping[Modality, Adapter],
    optimizer: torch.optim.Optimizer,
    pairs: Pairs,
    protocol: Protocol,
    spec: AdapterSpec,
    rng: np.random.Generator,
) -> float:
    """Train for one epoch; returns the mean loss of its batches."""
    for adapter in adapters.values():
        adapter.train()
    losses = []
    captions = draw_captions(pairs.image_of_caption, rng)
    for start in range(0, len(captions), spec.batch_size):
        loss = _compute_loss(adapters, pairs, captions[start : start + spec.batch_size], protocol, spec)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))


@torch.inference_mode()
def _evaluate(adapters: Mapping[Modality, Adapter], pairs: Pairs, protocol: Protocol, spec: AdapterSpec) -> float:
    """The mean loss of all pairs, without dropout."""
    for adapter in adapters.values():
        adapter.eval()
    blocks = np.array_split(np.arange(len(pairs.text)), math.ceil(len(pairs.text) / _MAX_EVALUATION_PAIRS))
    losses = [_compute_loss(adapters, pairs, block, protocol, spec).item() for block in blocks]
    return float(np.average(losses, weights=[len(block) for block in blocks]))


def _compute_loss(
    adapters: Mapping[Modality, Adapter], pairs: Pairs, captions: np.ndarray, protocol: Protocol, spec: AdapterSpec
) -> torch.Tensor:
    """The loss of some captions and their images."""
    targets = pairs.image[pairs.image_of_caption[captions]], pairs.text[captions]
    return pair_loss((adapters["image"](targets[0]), adapters["text"](targets[1])), targets, protocol, spec)
