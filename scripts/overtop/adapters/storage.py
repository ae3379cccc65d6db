"""Trained adapters and their file: the weights under each protocol, and what they were trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from overtop.adapters.model import Adapter
from overtop.config.adapters import AdapterSpec
from overtop.errors import OvertopError
from overtop.storage.tensors import read_tensors, write_tensors
from overtop.terms import MODALITIES, Modality, Protocol

SCHEMA = "adapters/1"


@dataclass(frozen=True)
class TrainedAdapters:
    """The adapters of both modalities under one protocol, and their training history.

    Attributes:
        by_modality: adapters with the weights of the best epoch.
        train_loss: mean loss of the batches of each epoch.
        val_loss: loss after each epoch, without dropout.
        best_epoch: first epoch of lowest `val_loss`, counted from 0.
    """

    by_modality: Mapping[Modality, Adapter]
    train_loss: list[float]
    val_loss: list[float]
    best_epoch: int


@dataclass(frozen=True)
class AdapterBundle:
    """The content of an adapter file.

    Attributes:
        name: name in config.yaml.
        spec: entry in config.yaml.
        width: D of the embeddings.
        encoder: provenance of the encoder that computed the embeddings.
        seed: seed of the run.
        by_protocol: trained adapters; the rule `adapt` writes a file per protocol.
    """

    name: str
    spec: AdapterSpec
    width: int
    encoder: Mapping[str, Any]
    seed: int
    by_protocol: Mapping[Protocol, TrainedAdapters]

    def check_embeddings(self, dims: Sequence[int], encoders: Sequence[Mapping[str, Any]]) -> None:
        """Check that embeddings come from the encoder that the adapters were trained for.

        Args:
            dims: widths of the samples.
            encoders: provenance of the encoder of each sample.

        Raises:
            OvertopError: another encoder, another state of the encoder, or another width.
        """
        for other in encoders:
            different = sorted(key for key in {*self.encoder, *other} if self.encoder.get(key) != other.get(key))
            if "name" in different:
                raise OvertopError(
                    f"adapter {self.name!r} was trained on embeddings of encoder {self.encoder.get('name')!r}, these "
                    f"are of {other.get('name')!r}; declare an adapter for that encoder"
                )
            if different:
                raise OvertopError(
                    f"adapter {self.name!r} was trained on another state of encoder {self.encoder.get('name')!r} than "
                    f"these embeddings are of ({', '.join(different)} differ); delete the older one of the adapter's "
                    "file and the encoder's shards, and run the same command again"
                )
        if set(dims) != {self.width}:
            raise OvertopError(
                f"adapter {self.name!r} was trained on embeddings of width {self.width}, these have "
                f"{', '.join(map(str, sorted(set(dims))))}; declare an adapter for them"
            )


def write_adapters(path: str | Path, bundle: AdapterBundle) -> None:
    """Write adapters as safetensors, atomically; equal adapters give equal bytes."""
    tensors = {
        f"{protocol}.{modality}.{key}": value
        for protocol, trained in bundle.by_protocol.items()
        for modality, adapter in trained.by_modality.items()
        for key, value in adapter.state_dict().items()
    }
    facts = {
        "name": bundle.name,
        "spec": bundle.spec.model_dump(mode="json"),
        "width": bundle.width,
        "encoder": bundle.encoder,
        "seed": bundle.seed,
        "history": {
            protocol: {
                "train_loss": trained.train_loss,
                "val_loss": trained.val_loss,
                "best_epoch": trained.best_epoch,
            }
            for protocol, trained in bundle.by_protocol.items()
        },
    }
    write_tensors(path, SCHEMA, tensors, facts)


def read_adapters(path: str | Path) -> AdapterBundle:
    """Read the adapters that `write_adapters` wrote, in evaluation mode and without gradients.

    Raises:
        OvertopError: the file is missing or damaged, or is not a file of adapters.
    """
    tensors, facts = read_tensors(path, SCHEMA)
    spec = AdapterSpec.model_validate(facts["spec"])
    by_protocol: dict[Protocol, TrainedAdapters] = {
        protocol: TrainedAdapters(_build_adapters(tensors, protocol, facts["width"], spec), **history)
        for protocol, history in facts["history"].items()
    }
    return AdapterBundle(facts["name"], spec, facts["width"], facts["encoder"], facts["seed"], by_protocol)


def _build_adapters(
    tensors: Mapping[str, torch.Tensor], protocol: str, width: int, spec: AdapterSpec
) -> dict[Modality, Adapter]:
    """The adapters of one protocol with the weights of a file."""
    adapters = {}
    for modality in MODALITIES:
        prefix = f"{protocol}.{modality}."
        weights = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        adapters[modality] = Adapter(width, spec)
        adapters[modality].load_state_dict(weights)
        adapters[modality].eval().requires_grad_(False)
    return adapters
