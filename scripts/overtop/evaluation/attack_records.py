"""What the files of attacked images record: the specification of the attack, and the perturbations that it made."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overtop.errors import OvertopError
from overtop.evaluation.attack_checks import Perturbations
from overtop.storage.digests import REBUILD
from overtop.storage.shards import read_provenance


@dataclass(frozen=True)
class AttackRecord:
    """One attack on one encoder and data set.

    Attributes:
        attack: its full specification, as the rule `attack` records it.
        perturbations: the largest of all shards.
    """

    attack: Mapping[str, Any]
    perturbations: Perturbations


def read_attack_record(paths: Sequence[str | Path]) -> AttackRecord:
    """Read the record of one attack on one encoder and data set from all its shards, verifying them.

    Raises:
        OvertopError: a shard is damaged, or contains no record of an attack.
    """
    provenances = [(path, read_provenance(path)) for path in paths]
    for path, provenance in provenances:
        if "attack" not in provenance or "outcome" not in provenance:
            raise OvertopError(f"{path}: contains no attacked images; {REBUILD}")
    outcomes = [provenance["outcome"] for _, provenance in provenances]
    perturbations = combine_perturbations(
        [Perturbations(o["max_perturbation"], o["pixel_min"], o["pixel_max"]) for o in outcomes]
    )
    return AttackRecord(provenances[0][1]["attack"], perturbations)


def combine_perturbations(parts: Sequence[Perturbations]) -> Perturbations:
    """The largest perturbation and the range of the pixels of several parts."""
    return Perturbations(
        max(part.largest for part in parts),
        min(part.pixel_min for part in parts),
        max(part.pixel_max for part in parts),
    )


def describe_attack(records: Sequence[Mapping[str, Any]], described: Collection[str] = ()) -> str:
    """The full specification of an attack in words, from its records on several encoders and data sets.

    What differs between them, such as the size of the images, is listed with `or`.

    Args:
        records: `AttackRecord.attack` of the same attack.
        described: attacks that are described elsewhere, so that a worst case only names them.
    """
    first = records[0]
    if first["kind"] == "worst":
        parts = [
            name if name in described else f"{name} ({describe_attack([record['of'][i] for record in records])})"
            for i, name in enumerate(part["name"] for part in first["of"])
        ]
        return f"for each image the worst of the clean image and {', '.join(parts)}"
    parts = [f"{_METHODS[first['kind']]}, L-infinity", f"epsilon {first['epsilon']:g}/255", _steps(first)]
    parts += [f"{first['restarts']} restart{'' if first['restarts'] == 1 else 's'}"]
    if "library" in first:
        parts.append(_join(record["library"] for record in records))
        replaced = sorted({record["ran"] for record in records} - {first["kind"]})
        parts += [f"{' or '.join(replaced)} instead where there are too few classes"] if replaced else []
        parts.append("clean pixels where it fails")
    elif first["steps"]:
        parts.append("first wrong iterate" if first["early_stop"] else "last iterate")
    parts.append(f"seed {first['seed']}")
    sizes = _join(_format_size(record["image_size"]) for record in records)
    return f"{', '.join(parts)}; {_join(record['precision'] for record in records)}, images of {sizes} pixels"


_METHODS = {
    "pgd": "PGD on the cross-entropy",
    "cw": "CW margin",
    "apgd-ce": "APGD on the cross-entropy",
    "apgd-dlr": "APGD on the difference of logits ratio",
    "apgd-t": "targeted APGD on the difference of logits ratio",
}
"""What each kind of attack maximises."""


def _steps(record: Mapping[str, Any]) -> str:
    if not record["steps"]:
        return "uniform noise only"
    length = "" if "library" in record else f" of {record['step']:g}/255"
    return f"{record['steps']} steps{length}, random start"


def _format_size(size: int | Sequence[int]) -> str:
    return str(size) if isinstance(size, int) else " x ".join(map(str, size))


def _join(values: Any) -> str:
    return " or ".join(dict.fromkeys(map(str, values)))
