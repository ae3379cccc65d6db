"""The version of each stage of the pipeline.

Snakemake reruns a rule when its params change, not when a module its script imports does. So every rule has its stage's
version among its params. Raise a version when the stage's results change: everything it made is then made again. The
test of this module fails when a stage's sources change and its version does not; `make stages` records the new state.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

VERSIONS = {
    "fetch": 2,
    "split": 2,
    "features": 1,
    "train": 1,
    "weights": 1,
    "prefetch": 1,
    "embed": 2,
    "import_embeddings": 2,
    "adapt": 1,
    "spread": 1,
    "temperature": 1,
    "rank": 4,
    "radius": 2,
    "score": 2,
    "evaluate": 3,
    "recall": 1,
    "compare": 1,
    "operate": 1,
    "judge": 2,
    "cascade": 1,
    "tabulate": 3,
    "plot": 2,
}


def digest(stage: str, scripts: Path) -> str:
    """A digest of the sources that a stage's script reaches through imports of this package.

    The configuration model does not count, since what it says reaches a stage through its params.
    """
    seen: set[Path] = set()
    waiting = [scripts / f"{stage}.py"]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += _imported(path, scripts)
    total = hashlib.sha256()
    for path in sorted(seen):
        total.update(str(path.relative_to(scripts)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]


_NOT_A_STAGE = {"stages.py", "job.py", "errors.py"}


@cache
def _imported(path: Path, scripts: Path) -> tuple[Path, ...]:
    """Files of this package that `path` imports, at the top or inside a function, or names to import later."""
    found = []
    for node in _what_runs(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "overtop" and name.replace(".", "").replace("_", "").isalnum():
                base = scripts.joinpath(*name.split("."))
                found += [p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()]
    package = scripts / "overtop"
    left_out = {package / "__init__.py", package / "config"}
    return tuple(p for p in found if p.name not in _NOT_A_STAGE and left_out.isdisjoint({p, p.parent}))


def _what_runs(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes below `tree` but for imports that are for the type checker alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _what_runs(node)
