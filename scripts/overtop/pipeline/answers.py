"""Answers and their confidence models: directions, sources of queries and galleries, and candidate estimators."""

from pathlib import Path
from typing import Literal, NamedTuple

from overtop.confidence.candidates import auto_estimators, default_estimator
from overtop.config.answers import AnswerSpec, Items
from overtop.config.datasets import WHOLE
from overtop.config.model import Config
from overtop.downloads.mirror import resolve_in_mirror
from overtop.errors import OvertopError
from overtop.pipeline.banks import Bank, find_bank
from overtop.terms import AUTO, BANK_ESTIMATORS, PROBABILITY_ESTIMATORS, Direction, Modality

Role = Literal["queries", "gallery"]
ROLES: tuple[Role, ...] = ("queries", "gallery")

_OTHER: dict[Modality, Modality] = {"image": "text", "text": "image"}
_DIRECTION_OF_QUERIES: dict[Modality, Direction] = {"text": "t2i", "image": "i2t"}


class ItemsOfSplit(NamedTuple):
    """The images or the captions of a split of a data set."""

    dataset: str
    split: str
    modality: Modality


class ItemsOfFile(NamedTuple):
    """Embeddings in a file or folder, by its configured path."""

    location: str
    modality: Modality


def derived_name(answer: str, role: Role) -> str:
    """The name of the data set that holds a folder of images or a table of texts of an answer."""
    return f"{answer}.{role}"


def derived_from(config: Config, dataset: str) -> tuple[str, str] | None:
    """The key of the folder or table that a data set is derived from, and its path; None for declared data sets."""
    for name, answer in config.answers.items():
        for role in ROLES:
            items: Items = getattr(answer, role)
            if dataset == derived_name(name, role) and items.location is not None and items.embeddings is None:
                return f"answers.{name}.{role}.{'folder' if items.folder else 'table'}", items.location
    return None


def own_modality(config: Config, items: Items, role: Role) -> Modality | None:
    """What items are by their source alone; None if that depends on the direction, or the data set is unknown."""
    if items.dataset is None or items.dataset not in config.datasets:
        return items.modality
    kind = config.datasets[config.base_of(items.dataset)].kind
    if kind == "classes":  # images rank the classes
        return "image" if role == "queries" else "text"
    return {"images": "image", "texts": "text"}.get(kind)  # type: ignore[return-value]


def find_direction(config: Config, answer: AnswerSpec) -> Direction | None:
    """The direction of an answer: by its queries, else by its gallery, else as declared; None if nothing tells it."""
    queries, gallery = (own_modality(config, getattr(answer, role), role) for role in ROLES)
    if queries is None and gallery is not None:
        queries = _OTHER[gallery]
    return answer.direction if queries is None else _DIRECTION_OF_QUERIES[queries]


def find_modality(config: Config, answer: AnswerSpec, role: Role) -> Modality:
    """Whether the queries, or the gallery, are images or texts. The checks ensure that there is a direction."""
    direction = find_direction(config, answer)
    is_text = (direction == "t2i") == (role == "queries")
    return "text" if is_text else "image"


def find_items(config: Config, name: str, role: Role) -> ItemsOfSplit | ItemsOfFile:
    """Where the queries, or the gallery, of an answer come from.

    Args:
        config: a checked configuration.
        name: of the answer.
        role: which of the two.
    """
    answer = config.answers[name]
    items, modality = getattr(answer, role), find_modality(config, answer, role)
    if items.embeddings is not None:
        return ItemsOfFile(items.embeddings, modality)
    if items.dataset is None:
        return ItemsOfSplit(derived_name(name, role), WHOLE, modality)
    return ItemsOfSplit(items.dataset, find_split(config, answer, items), modality)


def find_split(config: Config, answer: AnswerSpec, items: Items) -> str:
    """The split of items of a data set: the declared one, else its only one, else that of the confidence model."""
    assert items.dataset is not None, "only for items of a data set"
    names = config.stored_dataset(items.dataset).split_names()
    only = names[0] if names is not None and len(names) == 1 else None
    return items.split or only or answer.model.split


def candidate_estimators(config: Config, dataset: str, split: str) -> list[str]:
    """The estimators that a confidence model of a labelled split is chosen from; several only if `auto` is configured.

    All need a ranking and perhaps a bank, no more: what answers compute of new queries. They need not be among
    `estimators`, which are those of the tables.
    """
    has_bank = find_bank(config, dataset, split) is not None
    configured = config.operating.estimator
    if configured is None:
        return [default_estimator(has_bank)]
    if configured != AUTO:
        return [configured]
    is_softmax = config.operating.mapping == "softmax"
    return [name for name in auto_estimators(has_bank) if not is_softmax or name in PROBABILITY_ESTIMATORS]


def model_bank(config: Config, dataset: str, split: str) -> Bank | None:
    """The bank of the confidence models of a labelled split; None if no candidate estimator needs one."""
    needs_bank = not set(BANK_ESTIMATORS).isdisjoint(candidate_estimators(config, dataset, split))
    return find_bank(config, dataset, split) if needs_bank else None


def locate(config: Config, key: str, location: str) -> Path:
    """The existing file or folder of the items of an answer: absolute, or inside the mirror.

    Only the answers of a run need their files, so that they are looked for when its jobs are planned, and not when the
    configuration is read.

    Raises:
        OvertopError: the path is relative and there is no mirror, or it does not exist.
    """
    path = resolve_in_mirror(location, config.mirror, key)
    if not path.exists():
        raise OvertopError(f"{key}: {path} does not exist; correct the path, or `mirror` if it is relative")
    return path
