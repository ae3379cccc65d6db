# What several rules need: the checked configuration, and which files a wildcard stands for.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.append(str(Path(workflow.basedir).parent / "scripts"))

from overtop.pipeline import paths
from overtop.terms import IMPORTED
from overtop.pipeline.loading import load_config
from overtop.errors import OvertopError, suggestion
from overtop.pipeline.stages import VERSIONS

try:
    settings = load_config({key: value for key, value in config.items()})
except OvertopError as error:
    raise WorkflowError(f"\n{error}") from None

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
TAIL = paths.OF_POSTERIOR


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


def summarise():
    """Say where the results are and what they say; not for the inner runs that executors start."""
    if workflow.remote_exec or not workflow.is_main_process:
        return
    from overtop.pipeline.summary import closing_words

    asked = sorted(workflow.dag_settings.targets) or settings.targets
    print(closing_words(asked), file=sys.stderr)
