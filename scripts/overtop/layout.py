"""Where the files of a run lie. Whatever defines a file stands in its path, so that no two runs collide."""

from collections.abc import Iterable

from overtop.config import IMPORTED, Config, Imported, PosteriorSpec

MODALITIES = ("image", "text")
OF_POSTERIOR = "{dataset}/{split}/{posterior}"
"""The tail of every path that belongs to one posterior on one split."""


def split(dataset: str, name: str) -> str:
    """Who is in a split."""
    return f"data/splits/{dataset}/{name}.parquet"


def checkpoint(encoder: str) -> str:
    """The weights of an encoder that is trained here."""
    return f"data/encoders/{encoder}.safetensors"


def adapter(name: str) -> str:
    """Trained adapters."""
    return f"data/adapters/{name}.safetensors"


def features(dataset: str, split_name: str, architecture: str) -> str:
    """What locked towers say of a split."""
    return f"data/features/{dataset}/{split_name}/{architecture}.safetensors"


def shards(config: Config, dataset: str, split_name: str, encoder: str, sampling: str, modality: str) -> list[str]:
    """The shards of one encoder and modality on a split, in order."""
    count = 1 if encoder == IMPORTED else getattr(config.datasets[dataset].shards, modality)
    folder = f"results/embeddings/{dataset}/{split_name}/{encoder}/{sampling}"
    return [f"{folder}/{modality}-{number}of{count}.h5" for number in range(count)]


def posterior_shards(
    config: Config, dataset: str, split_name: str, posterior: PosteriorSpec, modality: str
) -> list[str]:
    """The shards of one modality of a posterior on a split, encoder by encoder."""
    return [
        path
        for encoder in posterior.encoders()
        for path in shards(config, dataset, split_name, encoder, posterior.sampling(), modality)
    ]


def deterministic_shards(config: Config, dataset: str, split_name: str, encoder: str, modality: str) -> list[str]:
    """The shards of one encoder without dropout; `imported` stands for the samples a data set came with."""
    sampling = Imported(kind="imported").sampling() if encoder == IMPORTED else "deterministic"
    return shards(config, dataset, split_name, encoder, sampling, modality)


def of_posteriors(
    kind: str, datasets: Iterable[str], split_name: str, posteriors: Iterable[str], suffix: str = "parquet"
) -> list[str]:
    """`results/{kind}/...` of some posteriors, in the order of data sets and posteriors."""
    posteriors = list(posteriors)
    return [f"results/{kind}/{dataset}/{split_name}/{name}.{suffix}" for dataset in datasets for name in posteriors]
