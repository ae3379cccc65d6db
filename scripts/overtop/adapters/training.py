"""Training of adapters, one per modality, on the embeddings of a frozen encoder."""

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

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
from overtop.terms import MODALITIES, Modality, Protocol
from overtop.training.progress_state import TrainingState, copy_weights, read_state, set_weights, write_state

_LOG = logging.getLogger(__name__)
_MAX_EVALUATION_PAIRS = 2048  # fixed, because the validation loss is a mean over blocks


def train_bundle(
    name: str,
    spec: AdapterSpec,
    train: Pairs,
    val: Pairs,
    protocol: Protocol,
    seed: int,
    *,
    state: Path | None = None,
    progress: Progress = no_progress,
) -> AdapterBundle:
    """Train the adapters of one encoder under one protocol; the arguments are those of `train_adapters`.

    Raises:
        OvertopError: train and val were not embedded by the same encoder, or as `train_adapters`.
    """
    bundle = AdapterBundle(name, spec, train.image.shape[1], train.encoder, seed, by_protocol={})
    bundle.check_embeddings([val.image.shape[1]], [val.encoder])
    trained = train_adapters(name, spec, train, val, protocol, seed, state=state, progress=progress)
    return replace(bundle, by_protocol={protocol: trained})


def train_adapters(
    name: str,
    spec: AdapterSpec,
    train: Pairs,
    val: Pairs,
    protocol: Protocol,
    seed: int,
    *,
    state: Path | None = None,
    progress: Progress = no_progress,
) -> TrainedAdapters:
    """Train the adapters of both modalities together under one protocol.

    All protocols start from the same weights and see the same batches. On one machine the same arguments give the same
    weights, wherever training was interrupted.

    Args:
        name: name of the adapter in config.yaml.
        spec: its entry there.
        train: pairs to train on; every epoch pairs each image with one of its captions, chosen at random.
        val: pairs whose loss selects the epoch; all of them are used.
        protocol: likelihood term to use.
        seed: seed of the run; `spec.seed` distinguishes repetitions.
        state: file that is written after every epoch, and from which the same training continues; None for none.
        progress: called after every epoch.

    Raises:
        OvertopError: train and val differ in width, the loss is not finite, or no space is left for the state.
    """
    widths = train.image.shape[1], train.text.shape[1], val.image.shape[1], val.text.shape[1]
    if len(set(widths)) > 1:
        raise OvertopError(f"adapters.{name}: embeddings of widths {widths}; embed train and val by the same encoder")
    with reproducible(spec.threads, derive_seed(seed, "adapter weights", spec.seed)):
        training = _Training(spec, protocol, widths[0], seed)
        digest = _digest(spec, protocol, seed, train, val) if state is not None else ""
        if state is not None:
            training.resume(read_state(state, digest))
        for epoch in range(training.epochs_done, spec.epochs):
            if not math.isfinite(training.run_epoch(train, val)):
                raise OvertopError(
                    f"adapters.{name}: training under {protocol!r} diverged in epoch {epoch + 1}; lower learning_rate"
                )
            if state is not None and epoch + 1 < spec.epochs:
                write_state(state, training.saved(), digest)
            progress(epoch + 1, spec.epochs)
    trained = training.result()
    best_loss = trained.val_loss[trained.best_epoch]
    _LOG.info("%s, %s: val loss %.5f in epoch %d", name, protocol, best_loss, trained.best_epoch + 1)
    return trained


class _Training:
    """Adapters of both modalities, and everything that their next epoch depends on."""

    def __init__(self, spec: AdapterSpec, protocol: Protocol, width: int, seed: int) -> None:
        self._spec, self._protocol = spec, protocol
        self._adapters: dict[Modality, Adapter] = {modality: Adapter(width, spec) for modality in MODALITIES}
        self._parameters = [p for adapter in self._adapters.values() for p in adapter.parameters()]
        self._optimizer = torch.optim.Adam(self._parameters, lr=spec.learning_rate, fused=True)
        self._rng = np.random.default_rng(derive_seed(seed, "adapter batches", spec.seed))
        self._state = TrainingState()

    @property
    def epochs_done(self) -> int:
        """The number of epochs done."""
        return self._state.step

    def run_epoch(self, train: Pairs, val: Pairs) -> float:
        """Train for one epoch, and keep the weights if they are the best; returns the sum of both losses."""
        state = self._state
        row = {
            "train_loss": _train_epoch(self._adapters, self._optimizer, train, self._protocol, self._spec, self._rng),
            "val_loss": _evaluate(self._adapters, val, self._protocol, self._spec),
        }
        state.step += 1
        if row["val_loss"] < min(self._losses("val_loss"), default=math.inf):
            state.best_weights, state.best_epoch = copy_weights(self._parameters), state.step
        state.rows.append(row)
        return row["train_loss"] + row["val_loss"]

    def saved(self) -> TrainingState:
        """The state after the last epoch; valid until the next one."""
        self._state.weights = [parameter.detach() for parameter in self._parameters]
        self._state.optimizer = self._optimizer.state_dict()
        self._state.random = {"torch": torch.get_rng_state(), "numpy": self._rng.bit_generator.state}
        return self._state

    def resume(self, state: TrainingState | None) -> None:
        """Continue after the last epoch of a state; None: from the start."""
        if state is not None:
            self._state = state
            set_weights(self._parameters, state.weights)
            self._optimizer.load_state_dict(state.optimizer)
            torch.set_rng_state(state.random["torch"])
            self._rng.bit_generator.state = state.random["numpy"]

    def result(self) -> TrainedAdapters:
        """The adapters of the best epoch, without gradients."""
        set_weights(self._parameters, self._state.best_weights)
        for adapter in self._adapters.values():
            adapter.eval().requires_grad_(False)
        losses = self._losses("train_loss"), self._losses("val_loss")
        return TrainedAdapters(self._adapters, *losses, self._state.best_epoch - 1)

    def _losses(self, name: str) -> list[float]:
        return [row[name] for row in self._state.rows]


def _digest(spec: AdapterSpec, protocol: Protocol, seed: int, train: Pairs, val: Pairs) -> str:
    """Hex digest of everything that determines the weights after each epoch, on one machine."""
    facts = [spec.model_dump(mode="json"), protocol, seed, train.encoder]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for pairs in (train, val):
        for array in (pairs.image.numpy(), pairs.text.numpy(), pairs.image_of_caption):
            digest.update(f"{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


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
