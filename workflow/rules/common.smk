# What several rules need: the checked configuration, and which files a wildcard stands for.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir).parent / "scripts"))

from overtop.config import IMPORTED, load_config
from overtop.errors import OvertopError, suggestion
from overtop.stages import VERSIONS

try:
    settings = load_config({key: value for key, value in config.items()})
except OvertopError as error:
    raise WorkflowError(f"\n{error}") from None

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
RANK_RESULT = "{dataset}/{split}/{posterior}"


def plain(model):
    """A section of the configuration as plain values: a change of one of them reruns the rule."""
    return model.model_dump(mode="json")


def declared(section, wildcards, key):
    """One entry of a section, or a word on what there is."""
    entries, name = getattr(settings, section), getattr(wildcards, key)
    if name not in entries:
        raise WorkflowError(
            f"config.yaml: {section} has no {name!r}; {suggestion(name, entries)}"
        )
    return entries[name]


def fetch_spec(wildcards):
    spec = declared("datasets", wildcards, "dataset")
    return spec.model_dump(mode="json", exclude={"shards", "on_error", "expect"})


def split_spec(wildcards):
    spec = declared("datasets", wildcards, "dataset")
    return spec.model_dump(mode="json", exclude={"shards", "on_error"})


def on_error(wildcards):
    """What bad items do; captions cannot be unreadable."""
    may_fail = getattr(wildcards, "modality", "image") == "image"
    return declared("datasets", wildcards, "dataset").on_error if may_fail else "fail"


def batch_size(wildcards):
    return getattr(settings.embedding.batch_size, wildcards.modality)


def shards(wildcards, modality):
    """The shards of one modality, encoder by encoder, of a posterior on a split."""
    posterior = declared("posteriors", wildcards, "posterior")
    count = getattr(declared("datasets", wildcards, "dataset").shards, modality)
    count = 1 if posterior.kind == "imported" else count
    found = expand(
        "results/embeddings/{dataset}/{split}/{encoder}/{sampling}/{modality}-{shard}of{count}.h5",
        dataset=wildcards.dataset,
        split=wildcards.split,
        encoder=posterior.encoders(),
        sampling=posterior.sampling(),
        modality=modality,
        shard=range(count),
        count=count,
    )
    if Path(f"results/rankings/{RANK_RESULT}.h5".format(**wildcards)).exists():
        # Snakemake takes an intermediate file that is gone for one nobody needs. Not these: a ranking never stands
        # without the shards it came from, so they are remade, and with them what hangs on them.
        workflow.dag.forcefiles.update(
            path for path in found if not Path(path).exists()
        )
    return found


def image_shards(wildcards):
    return shards(wildcards, "image")


def text_shards(wildcards):
    return shards(wildcards, "text")


def of_table(pattern, name):
    """`pattern` for every data set and posterior of a table."""
    table = settings.tables[name]
    return expand(
        pattern, dataset=table.datasets, split=table.split, posterior=table.posteriors
    )


def summarise():
    """Say where the results are and what they say; not for the inner runs that executors start."""
    if workflow.remote_exec or not workflow.is_main_process:
        return
    from overtop.tables import closing_words

    asked = sorted(workflow.dag_settings.targets) or settings.targets
    print(closing_words(asked), file=sys.stderr)


def posterior_kind(wildcards):
    return declared("posteriors", wildcards, "posterior").kind


def table_spec(wildcards):
    return plain(declared("tables", wildcards, "table"))


def table_metrics(wildcards):
    declared("tables", wildcards, "table")
    return of_table(
        "results/metrics/{dataset}/{split}/{posterior}.parquet", wildcards.table
    )


def figure_spec(wildcards):
    return plain(declared("figures", wildcards, "figure"))


def figure_metrics(wildcards):
    figure = declared("figures", wildcards, "figure")
    return of_table(
        "results/metrics/{dataset}/{split}/{posterior}.parquet", figure.table
    )


def figure_curves(wildcards):
    figure = declared("figures", wildcards, "figure")
    return of_table(
        f"results/curves/{figure.kind}/{{dataset}}/{{split}}/{{posterior}}.parquet",
        figure.table,
    )


def encoder_spec(wildcards):
    return plain(declared("encoders", wildcards, "encoder"))


def train_inputs(wildcards):
    encoder = declared("encoders", wildcards, "encoder")
    if encoder.train is None:
        raise WorkflowError(
            f"config.yaml: encoders.{wildcards.encoder} has weights of its own, nothing to train"
        )
    dataset = encoder.train.dataset
    inputs = {
        split: f"data/splits/{dataset}/{split}.parquet" for split in ("train", "val")
    }
    if encoder.train.towers == "locked":
        inputs["features"] = [
            f"data/features/{dataset}/{split}/{encoder.architecture}.safetensors"
            for split in ("train", "val")
        ]
    return inputs


def train_threads(wildcards):
    recipe = declared("encoders", wildcards, "encoder").train
    return recipe.threads if recipe else 1


def embed_inputs(wildcards):
    encoder = declared("encoders", wildcards, "encoder")
    inputs = {"split": f"data/splits/{wildcards.dataset}/{wildcards.split}.parquet"}
    if encoder.train is not None:
        inputs["checkpoint"] = f"data/encoders/{wildcards.encoder}.safetensors"
    elif encoder.checkpoint is not None:
        inputs["checkpoint"] = encoder.checkpoint
    return inputs
