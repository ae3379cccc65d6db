"""Trained adapters and their file: the weights under each protocol, and what they were trained on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from overtop.adapters.model import Adapter
from overtop.config.adapters import AdapterSpec
from overtop.errors import OvertopError
from overtop.storage.files import atomic_path
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
                    f"adapter {self.name!r} was trained on another state of encoder {self.encoder.get('name')!r} "
                    f"({', '.join(different)} differ); delete the adapter's file and run the same command again"
                )
        if set(dims) != {self.width}:
            raise OvertopError(
                f"adapter {self.name!r} was trained on embeddings of width {self.width}, these have "
                f"{', '.join(map(str, sorted(set(dims))))}; declare an adapter for them"
            )


def write_adapters(path: str | Path, bundle: AdapterBundle) -> None:
    """Write adapters as safetensors, atomically; equal adapters give equal bytes."""
    tensors = {
        f"{protocol}.{modality}.{key}": value.contiguous()
        for protocol, trained in bundle.by_protocol.items()
        for modality, adapter in trained.by_modality.items()
        for key, value in adapter.state_dict().items()
    }
    metadata = {
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
    # A single metadata entry, because safetensors writes several in no fixed order.
    content = save(tensors, metadata={SCHEMA: json.dumps(metadata, sort_keys=True)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def read_adapters(path: str | Path) -> AdapterBundle:
    """Read the adapters that `write_adapters` wrote, in evaluation mode and without gradients.

    Raises:
        OvertopError: the file is missing or truncated, or is not a file of adapters.
    """
    if not Path(path).is_file():
        raise OvertopError(f"{path}: no such file; run the rule that makes it")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {})[SCHEMA])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        spec = AdapterSpec.model_validate(metadata["spec"])
        by_protocol: dict[Protocol, TrainedAdapters] = {
            protocol: TrainedAdapters(_build_adapters(tensors, protocol, metadata["width"], spec), **history)
            for protocol, history in metadata["history"].items()
        }
        return AdapterBundle(
            metadata["name"], spec, metadata["width"], metadata["encoder"], metadata["seed"], by_protocol
        )
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise OvertopError(
            f"{path}: damaged, or not an adapter file of this version ({reason}); delete it and rebuild"
        ) from error


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
