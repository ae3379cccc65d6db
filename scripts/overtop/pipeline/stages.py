"""The version of each stage of the pipeline; a stage is a rule and its script.

Snakemake reruns a rule when its params change, but not when a module changes that its script imports. Therefore every
rule has the version of its stage among its params. Raise a version when the results of the stage change: everything
that it made is then made again. A test compares the digest of each stage's sources with the recorded one and fails if
they changed without a new version; `make stages` records the current state.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

VERSIONS = {
    "fetch": 4,
    "split": 4,
    "features": 2,
    "train": 2,
    "finetune": 2,
    "weights": 2,
    "prefetch": 2,
    "embed": 5,
    "attack": 3,
    "perturb": 2,
    "import_embeddings": 4,
    "adapt": 2,
    "spread": 3,
    "temperature": 4,
    "bank": 4,
    "rank": 9,
    "rank_slice": 3,
    "merge_rankings": 2,
    "radius": 4,
    "score": 4,
    "evaluate": 6,
    "recall": 2,
    "predict": 2,
    "multilabel": 3,
    "view_calibration": 2,
    "compare": 3,
    "operate": 4,
    "transfer": 2,
    "judge": 4,
    "cascade": 3,
    "thinning": 2,
    "ablate_bank": 4,
    "table": 6,
    "plot": 5,
    "robustness": 3,
    "attack_effects": 3,
    "calibrate": 2,
    "prepare": 2,
    "answer": 2,
    "report": 1,
}

NOT_HASHED = ("config", "pipeline", "errors.py", "progress.py", "__init__.py")
"""Parts of the library that do not change results: values of the configuration reach a stage as params."""

DATA_SUFFIXES = (".css", ".csv", ".j2", ".js")
"""Suffixes of files of the library that are no code and are part of results."""


def digest(stage: str, scripts: Path) -> str:
    """A digest of a stage's script and of all modules of this library that it imports, directly or not.

    Args:
        stage: name of the stage and of its script.
        scripts: the folder of the scripts and the library.
    """
    files: set[Path] = set()
    pending = [scripts / f"{stage}.py"]
    while pending:
        path = pending.pop()
        if path not in files:
            files.add(path)
            if path.suffix == ".py":
                pending += _imported_files(path, scripts)
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(str(path.relative_to(scripts)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]


def script_versions(scripts: Path) -> dict[str, str]:
    """The version of each stage with the digest of its script: what a rule has among its params.

    Snakemake itself compares the times of scripts, which the checkout of another commit changes, so that both the
    results and the scripts are those of that commit and it makes everything again.

    Args:
        scripts: the folder of the scripts.
    """
    digests = {stage: hashlib.sha256((scripts / f"{stage}.py").read_bytes()).hexdigest() for stage in VERSIONS}
    return {stage: f"{version}-{digests[stage][:16]}" for stage, version in VERSIONS.items()}


def stage_states(scripts: Path) -> dict[str, dict[str, int | str]]:
    """Version and digest of every stage, as `make stages` records them in tests/stages.json."""
    return {stage: {"version": version, "digest": digest(stage, scripts)} for stage, version in VERSIONS.items()}


@cache
def _imported_files(path: Path, scripts: Path) -> tuple[Path, ...]:
    """Files of this library that `path` imports, and the files other than code beside it, such as templates."""
    files = [file for file in path.parent.iterdir() if file.suffix in DATA_SUFFIXES and path.parent != scripts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            file = scripts.joinpath(*name.split(".")).with_suffix(".py")
            if name.startswith("overtop.") and file.is_file() and not _is_excluded(file, scripts):
                files.append(file)
    return tuple(files)


def _is_excluded(file: Path, scripts: Path) -> bool:
    return file.relative_to(scripts / "overtop").parts[0] in NOT_HASHED
