"""What a report is made of: the posteriors of its tables, their splits, and the entries of config.yaml behind them."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from overtop.config.model import Config
from overtop.config.reports import ReportSpec
from overtop.pipeline import paths
from overtop.terms import IMPORTED

SHARED_SECTIONS = ("bank", "temperature", "ranking", "evaluation")
"""Sections without named entries that results depend on."""


def shown_posteriors(config: Config, spec: ReportSpec) -> list[tuple[str, str, str]]:
    """Data set, split and posterior of everything in the tables of a report, each once."""
    tables = [config.tables[name] for name in spec.tables if name in config.tables]
    return list(dict.fromkeys((d, t.split, p) for t in tables for d in t.datasets for p in t.posteriors))


def shown_splits(config: Config, spec: ReportSpec) -> list[tuple[str, str]]:
    """Data set and split of everything in the tables of a report, each once."""
    return list(dict.fromkeys((dataset, split) for dataset, split, _ in shown_posteriors(config, spec)))


def posterior_files(pattern: str, posteriors: Iterable[tuple[str, str, str]]) -> list[str]:
    """One file per data set, split and posterior."""
    return [pattern.format(dataset=d, split=s, posterior=p) for d, s, p in posteriors]


def operating_posteriors(config: Config, spec: ReportSpec) -> list[tuple[str, str, str]]:
    """The posteriors of a report whose operating points are among the targets, which it then shows.

    Others would need results on a further split, which a report does not ask for.
    """
    posteriors = shown_posteriors(config, spec)
    return [p for p in posteriors if posterior_files(paths.OPERATING, [p])[0] in config.targets]


def shown_entries(config: Config, spec: ReportSpec) -> dict[str, Any]:
    """The declared values of everything that a report shows, by place in config.yaml; defaults are left out."""
    posteriors = {posterior for _, _, posterior in shown_posteriors(config, spec)}
    datasets = [dataset for dataset, _ in shown_splits(config, spec)]
    encoders = [encoder for name in config.posteriors if name in posteriors for encoder in _encoders(config, name)]
    names = {
        "datasets": [*datasets, *map(config.base_of, datasets)],
        "encoders": encoders,
        "posteriors": [name for name in config.posteriors if name in posteriors],
        "tables": spec.tables,
        "robustness": spec.robustness,
        "answers": spec.answers,
    }
    entries: dict[str, Any] = {"seed": config.seed}
    for section in SHARED_SECTIONS:
        if values := _declared(getattr(config, section)):
            entries[section] = values
    for section, of_section in names.items():
        for name in dict.fromkeys(of_section):
            entries[f"{section}.{name}"] = _declared(getattr(config, section)[name])
    return entries


def _encoders(config: Config, posterior: str) -> list[str]:
    return [name for name in config.posteriors[posterior].encoders() if name != IMPORTED]


def _declared(model: BaseModel | None) -> Any:
    return None if model is None else model.model_dump(mode="json", exclude_unset=True)
