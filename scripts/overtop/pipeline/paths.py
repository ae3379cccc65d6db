"""Where the files of a run are: the only module that knows paths.

Patterns hold wildcards in braces, as Snakemake's rules take them; `pattern.format(...)` gives one file. Everything that
defines a file is part of its path, so that demo, own data and paper live in one `results/` without collisions.
"""

from collections.abc import Iterable

from overtop.config.model import Config
from overtop.config.posteriors import McDropout, PosteriorSpec
from overtop.encoders.sampling import Sampling
from overtop.terms import IMPORTED, Modality

DATA = "data"
"""The folder of everything that is fetched or trained; image paths in manifests are relative to it."""

OF_SPLIT = "{dataset}/{split}"
OF_POSTERIOR = "{dataset}/{split}/{posterior}"
"""The end of every path that belongs to one posterior on one split."""

SOURCE = f"{DATA}/sources/{OF_SPLIT}.json"
"""Record of the raw files of a split, which are in `overtop.datasets.raw.raw_folder`: what was fetched, and digests."""
SPLIT = f"{DATA}/splits/{OF_SPLIT}.parquet"
FEATURES = f"{DATA}/features/{OF_SPLIT}/{{architecture}}.safetensors"
CHECKPOINT = f"{DATA}/encoders/{{encoder}}.safetensors"
WEIGHTS = f"{DATA}/weights/{{encoder}}.json"
"""Record of the downloaded weights of an encoder."""
ADAPTER = f"{DATA}/adapters/{{adapter}}/{{protocol}}.safetensors"
PREFETCH = f"{DATA}/prefetch/{{table}}.json"

OF_SHARDS = f"{OF_SPLIT}/{{encoder}}/{{sampling}}/{{shard}}of{{shards}}"
"""The end of every path that belongs to one slice of the images and of the captions of a split."""
SHARD = f"results/embeddings/{OF_SPLIT}/{{encoder}}/{{sampling}}/{{modality}}-{{shard}}of{{shards}}.h5"
OF_ATTACK = f"{OF_SPLIT}/{{encoder}}/{{attack}}"
OF_ATTACKED = f"{OF_ATTACK}/{{sampling}}/image-{{shard}}of{{shards}}"
ATTACKED = f"results/attacks/{OF_ATTACKED}.h5"
"""A shard of the embeddings of attacked images."""
PERTURBED = f"results/perturbed/{OF_ATTACK}"
"""Without suffix: the pixels of some attacked images, and their picture."""
TEMPERATURES = f"results/temperatures/{OF_POSTERIOR}.json"
BANK = f"results/banks/{OF_POSTERIOR}/{{bank}}.h5"
RANKING = f"results/rankings/{OF_POSTERIOR}.h5"
RANKING_SLICE = f"results/rankings/{OF_POSTERIOR}/slice-{{slice}}of{{slices}}.h5"
RADII = f"results/radii/{OF_POSTERIOR}.h5"
SPREAD = f"results/spread/{OF_POSTERIOR}.h5"
SCORES = f"results/scores/{OF_POSTERIOR}.parquet"
METRICS = f"results/metrics/{OF_POSTERIOR}.parquet"
CURVES = f"results/curves/{{kind}}/{OF_POSTERIOR}.parquet"
OPERATING = f"results/operating/{OF_POSTERIOR}.csv"
CONFIDENCE = f"results/confidence/{OF_POSTERIOR}.json"
"""The confidence models of a posterior, fitted on a labelled split, by direction."""
JUDGMENTS = f"results/judgments/{OF_POSTERIOR}.csv"
PREDICTIONS = f"results/predictions/{OF_POSTERIOR}.parquet"
MULTILABEL = f"results/multilabel/{OF_POSTERIOR}.csv"
RECALL = f"results/recall/{OF_SPLIT}/{{encoder}}.csv"
THINNING = "results/thinning/{figure}.csv"
BANK_ABLATION = "results/ablations/{figure}.csv"
CASCADE = "results/cascades/{cascade}/{part}.csv"
TABLE = "results/tables/{table}"
MEMBERS = "results/members/{table}.csv"
SUMMARY = "results/summaries/{table}.json"
"""The few numbers of a table that DVC compares runs by."""
DIFFERENCES = "results/differences/{table}"
FIGURE = "results/figures/{figure}"
REPORT = "results/reports/{report}.html"
TRANSFER = "results/transfers/{transfer}"
"""Without suffix: .csv, .md, and the bins of reliability diagrams, -bins.csv."""
GALLERY = "results/galleries/{answer}"
"""A folder: the gallery of an answer, prepared once."""
ANSWER = "results/answers/{answer}"
TRAINING_LOG = "results/training/{encoder}.csv"
ROBUSTNESS = "results/robustness/{robustness}"
ROBUSTNESS_CALIBRATION = f"{ROBUSTNESS}-calibration"
ATTACK_EFFECTS = f"{ROBUSTNESS}-uncertainty"
ROBUSTNESS_CHECKS = f"{ROBUSTNESS}-checks.csv"

SAMPLES = "samples"
"""The sampling of imported embeddings: whatever samples the data set came with."""


def fill(pattern: str, **values: object) -> str:
    """A pattern with some of its wildcards filled in; the others stay."""
    for name, value in values.items():
        pattern = pattern.replace(f"{{{name}}}", str(value))
    return pattern


def for_posteriors(pattern: str, datasets: Iterable[str], split: str, posteriors: Iterable[str]) -> list[str]:
    """One file per data set and posterior, in that order."""
    posteriors = list(posteriors)
    return [pattern.format(dataset=d, split=split, posterior=p) for d in datasets for p in posteriors]


def shards(config: Config, dataset: str, split: str, encoder: str, sampling: str, modality: Modality) -> list[str]:
    """The shards of one encoder and modality on a split, in order; those of the base if the data set is a variant."""
    dataset = config.base_of(dataset)
    count = 1 if encoder == IMPORTED else config.stored_dataset(dataset).shards
    names = {"dataset": dataset, "split": split, "encoder": encoder, "sampling": sampling, "modality": modality}
    return [SHARD.format(**names, shard=number, shards=count) for number in range(count)]


def samplings(config: Config, posterior: PosteriorSpec) -> list[str]:
    """The `sampling` of a posterior's shards, in order.

    Passes of MC dropout are split into shards of `embedding.passes_per_shard`. Posteriors of the configuration that
    differ only in their number of passes share them: each reads the first passes, as many as it needs.
    """
    if not isinstance(posterior, McDropout):
        return [SAMPLES if posterior.kind == "imported" else str(Sampling())]
    same_draws = [p for p in config.posteriors.values() if isinstance(p, McDropout) and p.draws == posterior.draws]
    most_passes = max(p.passes for p in [*same_draws, posterior])
    size = config.embedding.passes_per_shard
    starts = range(0, posterior.passes, size)
    return [str(Sampling(posterior.rate, min(size, most_passes - start), start)) for start in starts]


def posterior_shards(
    config: Config, dataset: str, split: str, posterior: PosteriorSpec, modality: Modality
) -> list[str]:
    """The shards of one modality of a posterior on a split, in the order of its samples; its images may be attacked."""
    if posterior.view is not None and modality == "image":
        return [
            path
            for encoder in posterior.encoders()
            for sampling in samplings(config, posterior)
            for path in attacked_shards(config, dataset, split, encoder, posterior.view, sampling)
        ]
    return [
        path
        for encoder in posterior.encoders()
        for sampling in samplings(config, posterior)
        for path in shards(config, dataset, split, encoder, sampling, modality)
    ]


def attacked_shards(
    config: Config, dataset: str, split: str, encoder: str, attack: str, sampling: str | None = None
) -> list[str]:
    """The shards of the images of a split under an attack on an encoder; by default without dropout."""
    dataset = config.base_of(dataset)
    count = config.stored_dataset(dataset).shards
    names = {"dataset": dataset, "split": split, "encoder": encoder, "attack": attack, "shards": count}
    return [ATTACKED.format(**names, sampling=sampling or Sampling(), shard=number) for number in range(count)]


def deterministic_shards(config: Config, dataset: str, split: str, encoder: str, modality: Modality) -> list[str]:
    """The shards of one encoder without dropout; for `imported`, the samples that the data set came with."""
    sampling = SAMPLES if encoder == IMPORTED else str(Sampling())
    return shards(config, dataset, split, encoder, sampling, modality)
