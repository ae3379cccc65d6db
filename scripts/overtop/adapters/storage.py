"""The file of a pair of adapters: the weights under both protocols, and what they were trained on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from overtop.adapters.model import MODALITIES, Adapter
from overtop.adapters.training import Fitted
from overtop.config.adapters import AdapterSpec
from overtop.errors import OvertopError
from overtop.storage.files import atomic_path
from overtop.terms import Protocol

SCHEMA = "adapters/1"


@dataclass(frozen=True)
class Adapters:
    """What a file of adapters holds.

    Attributes:
        name: in config.yaml.
        spec: its entry there.
        width: D of the embeddings.
        encoder: the shards' facts about the encoder.
        seed: of the run.
        fitted: by protocol.
    """

    name: str
    spec: AdapterSpec
    width: int
    encoder: dict[str, Any]
    seed: int
    fitted: Mapping[Protocol, Fitted]

    def check(self, dims: Sequence[int], encoders: Sequence[Mapping[str, Any]]) -> None:
        """Refuse embeddings that the adapters were not trained for.

        Args:
            dims: widths of the samples.
            encoders: the shards' facts about each encoder behind them.

        Raises:
            OvertopError: another encoder or another width.
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


def write_adapters(path: str | Path, adapters: Adapters) -> None:
    """Write adapters as safetensors, atomically; equal adapters give equal bytes."""
    tensors = {
        f"{protocol}.{modality}.{key}": value.contiguous()
        for protocol, fitted in adapters.fitted.items()
        for modality, adapter in fitted.adapters.items()
        for key, value in adapter.state_dict().items()
    }
    facts = {
        "name": adapters.name,
        "spec": adapters.spec.model_dump(mode="json"),
        "width": adapters.width,
        "encoder": adapters.encoder,
        "seed": adapters.seed,
        "history": {
            protocol: {"train_loss": f.train_loss, "val_loss": f.val_loss, "best_epoch": f.best_epoch}
            for protocol, f in adapters.fitted.items()
        },
    }
    with atomic_path(path) as temporary:  # one entry: safetensors keeps several in no fixed order
        temporary.write_bytes(save(tensors, metadata={SCHEMA: json.dumps(facts, sort_keys=True)}))


def read_adapters(path: str | Path) -> Adapters:
    """Read what `write_adapters` wrote, ready to predict.

    Raises:
        OvertopError: the file is missing, truncated, or something else.
    """
    if not Path(path).is_file():
        raise OvertopError(f"{path}: no such file; run the rule that makes it")
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})[SCHEMA])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        spec = AdapterSpec.model_validate(facts["spec"])
        fitted: dict[Protocol, Fitted] = {}
        for protocol, history in facts["history"].items():
            models = {}
            for modality in MODALITIES:
                prefix = f"{protocol}.{modality}."
                models[modality] = Adapter(facts["width"], spec)
                models[modality].load_state_dict(
                    {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
                )
                models[modality].eval().requires_grad_(False)
            fitted[protocol] = Fitted(models, **history)
        return Adapters(facts["name"], spec, facts["width"], facts["encoder"], facts["seed"], fitted)
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise OvertopError(
            f"{path}: damaged, or no adapters of this version ({reason}); delete it and rebuild"
        ) from error
