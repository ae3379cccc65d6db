# What several rules need: the checked configuration, and which files a wildcard stands for.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir).parent / "scripts"))

from overtop import layout
from overtop.config import IMPORTED, load_config
from overtop.errors import OvertopError, suggestion
from overtop.stages import VERSIONS

try:
    settings = load_config({key: value for key, value in config.items()})
except OvertopError as error:
    raise WorkflowError(f"\n{error}") from None

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
TAIL = layout.OF_POSTERIOR


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
    left_out = {"shards", "on_error", "expect", "extended"}
    return spec.model_dump(mode="json", exclude=left_out)


def split_spec(wildcards):
    spec = declared("datasets", wildcards, "dataset")
    return spec.model_dump(mode="json", exclude={"shards", "on_error", "judgments"})


def on_error(wildcards):
    """What bad items do; captions cannot be unreadable."""
    may_fail = getattr(wildcards, "modality", "image") == "image"
    return declared("datasets", wildcards, "dataset").on_error if may_fail else "fail"


def of_split(wildcards):
    """The split, and the shards of a posterior on it."""
    posterior = declared("posteriors", wildcards, "posterior")
    declared("datasets", wildcards, "dataset")
    found = {
        modality: layout.posterior_shards(
            settings, wildcards.dataset, wildcards.split, posterior, modality
        )
        for modality in layout.MODALITIES
    }
    if Path(f"results/rankings/{TAIL}.h5".format(**wildcards)).exists():
        # Snakemake takes an intermediate file that is gone for one nobody needs. Not these: a ranking never stands
        # without the shards it came from, so they are remade, and with them what hangs on them.
        gone = (path for path in sum(found.values(), []) if not Path(path).exists())
        workflow.dag.forcefiles.update(gone)
    return {"split": layout.split(wildcards.dataset, wildcards.split), **found}


def fitted_temperature(wildcards):
    """The file of the fitted temperatures, where they are not numbers of the configuration."""
    if settings.temperature.softmax != "fitted":
        return []
    split = settings.temperature.fit_split
    return layout.of_posteriors(
        "temperatures", [wildcards.dataset], split, [wildcards.posterior], "json"
    )


def rows_of(kind, name):
    """`results/{kind}` of every data set and posterior of a table."""
    table = settings.tables[name]
    return layout.of_posteriors(kind, table.datasets, table.split, table.posteriors)


def summarise():
    """Say where the results are and what they say; not for the inner runs that executors start."""
    if workflow.remote_exec or not workflow.is_main_process:
        return
    from overtop.tables import closing_words

    asked = sorted(workflow.dag_settings.targets) or settings.targets
    print(closing_words(asked), file=sys.stderr)
