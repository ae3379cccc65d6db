"""Where the files of a run lie. Whatever defines a file stands in its path, so that no two runs collide."""

from collections.abc import Iterable

from overtop.config.model import Config
from overtop.config.posteriors import McDropout, PosteriorSpec
from overtop.encoders.sampling import Sampling
from overtop.terms import IMPORTED

MODALITIES = ("image", "text")
_SAMPLES = "samples"
OF_POSTERIOR = "{dataset}/{split}/{posterior}"
"""The tail of every path that belongs to one posterior on one split."""


def source(dataset: str, name: str) -> str:
    """What was fetched for a split."""
    return f"data/raw/{dataset}/{name}/source.json"


def split(dataset: str, name: str) -> str:
    """Who is in a split."""
    return f"data/splits/{dataset}/{name}.parquet"


def checkpoint(encoder: str) -> str:
    """The weights of an encoder that is trained here."""
    return f"data/encoders/{encoder}.safetensors"


def weights(encoder: str) -> str:
    """Which downloaded file holds the weights of an encoder."""
    return f"data/weights/{encoder}.json"


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


def samplings(config: Config, posterior: PosteriorSpec) -> list[str]:
    """The `sampling` of a posterior's shards, in order.

    Passes of MC dropout are cut into shards of `embedding.passes_per_shard`. Posteriors of the configuration that
    differ in their number of passes alone share them: each reads as many as it needs, and uses the first of them.
    """
    if not isinstance(posterior, McDropout):
        return [_SAMPLES if posterior.kind == "imported" else str(Sampling())]
    alike = [p for p in config.posteriors.values() if isinstance(p, McDropout) and p.draws == posterior.draws]
    most = max(p.passes for p in [*alike, posterior])
    size = config.embedding.passes_per_shard
    starts = range(0, posterior.passes, size)
    return [str(Sampling(posterior.rate, min(size, most - start), start)) for start in starts]


def posterior_shards(
    config: Config, dataset: str, split_name: str, posterior: PosteriorSpec, modality: str
) -> list[str]:
    """The shards of one modality of a posterior on a split, sample by sample."""
    return [
        path
        for encoder in posterior.encoders()
        for sampling in samplings(config, posterior)
        for path in shards(config, dataset, split_name, encoder, sampling, modality)
    ]


def deterministic_shards(config: Config, dataset: str, split_name: str, encoder: str, modality: str) -> list[str]:
    """The shards of one encoder without dropout; `imported` stands for the samples a data set came with."""
    sampling = _SAMPLES if encoder == IMPORTED else str(Sampling())
    return shards(config, dataset, split_name, encoder, sampling, modality)


def of_posteriors(
    kind: str, datasets: Iterable[str], split_name: str, posteriors: Iterable[str], suffix: str = "parquet"
) -> list[str]:
    """`results/{kind}/...` of some posteriors, in the order of data sets and posteriors."""
    posteriors = list(posteriors)
    return [f"results/{kind}/{dataset}/{split_name}/{name}.{suffix}" for dataset in datasets for name in posteriors]
