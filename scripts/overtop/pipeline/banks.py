"""Which bank, if any, belongs to a split of a data set.

The top-level `bank` applies to every data set that can have it; `bank` in the entry of a data set replaces it. On its
own split a bank is not used: an evaluated query must not be in it, and with the matches of the bank in the gallery a
threshold fitted there would not hold for other queries. Hence a threshold for a bank estimator needs a bank from a
third split, such as `{split: train}`, which is then the bank of both `val` and `test`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from overtop.config.banks import BankSpec
from overtop.config.datasets import VariantDataset
from overtop.config.model import Config
from overtop.pipeline.name_checks import check_has_pairs, check_not_variant, check_split
from overtop.terms import BANK_ESTIMATORS


class Bank(NamedTuple):
    """A bank: `size` queries of each modality of a split (all of them if None), drawn with a seed."""

    dataset: str
    split: str
    size: int | None
    seed: int

    @property
    def label(self) -> str:
        """Its name in tables: `flickr8k/val`, or `flickr8k/val/500` for a draw of 500 queries."""
        return "/".join(filter(None, [self.dataset, self.split, str(self.size or "")]))

    def as_params(self) -> dict[str, object]:
        """Its fields and its label, as the params of a rule."""
        return {**self._asdict(), "label": self.label}

    def path_name(self, dataset: str) -> str:
        """Its name in paths of files of `dataset`: `val`, `val-500-seed0`, or `flickr8k.val` of another data set."""
        name = self.split if self.dataset == dataset else f"{self.dataset}.{self.split}"
        return name if self.size is None else f"{name}-{self.size}-seed{self.seed}"


def declared_bank(config: Config, dataset: str) -> Bank | None:
    """The bank that the configuration declares for a data set, or for the base of a variant; None if there is none.

    The top-level bank needs a split that the entry of its data set lists, and is not used where one of the two data
    sets holds imported embeddings and the other does not.
    """
    dataset = config.base_of(dataset)
    entry = config.datasets.get(dataset)
    if entry is None or isinstance(entry, VariantDataset):
        return None
    is_own = "bank" in entry.model_fields_set
    spec = entry.bank if is_own else config.bank
    if spec is None:
        return None
    source = config.datasets.get(spec.dataset or dataset)
    if source is None or isinstance(source, VariantDataset):
        return None
    fits = spec.split in source.listed_splits() and is_comparable(config, dataset, spec.dataset)
    return Bank(spec.dataset or dataset, spec.split, spec.size, spec.seed) if is_own or fits else None


def is_comparable(config: Config, dataset: str, bank_dataset: str | None) -> bool:
    """Whether queries of the second data set can be compared with the gallery of the first: both imported, or none."""
    kinds = {config.datasets[config.base_of(name)].kind == "embeddings" for name in (dataset, bank_dataset or dataset)}
    return len(kinds) == 1


def find_bank(config: Config, dataset: str, split: str) -> Bank | None:
    """The bank that the queries of a split are ranked with; None if there is none, or the split is the bank's own."""
    bank = declared_bank(config, dataset)
    is_own = bank is not None and (bank.dataset, bank.split) == (config.base_of(dataset), split)
    return None if is_own else bank


def check_bank_source(config: Config, key: str, dataset: str, bank: BankSpec) -> Iterator[str]:
    """Lines if the split of a bank for a data set does not exist, or is of other embeddings.

    Args:
        config: the configuration.
        key: where the bank is declared.
        dataset: the data set that is ranked with the bank.
        bank: the declaration.
    """
    source = bank.dataset or dataset
    yield from check_split(config, key, source, bank.split)
    yield from check_not_variant(config, f"{key}.dataset", source)
    yield from check_has_pairs(config, f"{key}.dataset", source)
    if source in config.datasets and not is_comparable(config, dataset, source):
        yield (
            f"{key}: {source!r} and {dataset!r} are not of the same encoder; imported embeddings need an imported bank"
        )


def check_bank_exists(
    config: Config, key: str, estimators: Sequence[str], datasets: Sequence[str], splits: Sequence[str]
) -> Iterator[str]:
    """A line if an estimator that needs a bank is named where no data set has one on all these splits.

    Args:
        config: the configuration; unknown data sets are ignored.
        key: where the estimators are named.
        estimators: names.
        datasets: data sets that they are used on.
        splits: splits that each data set is evaluated on.
    """
    known = [name for name in datasets if name in config.datasets]
    has_bank = any(all(find_bank(config, name, split) for split in splits) for name in known)
    for estimator in estimators:
        if estimator in BANK_ESTIMATORS and known and not has_bank:
            yield (
                f"{key}: {estimator!r} needs a bank of queries of another split than {' and '.join(splits)}; "
                f"set for example datasets.{known[0]}.bank: {{split: train, size: 1000}}"
            )
