"""The rules of the library's structure: imports go down the layers, without cycles, at the top of each module."""

import subprocess
import sys
from pathlib import Path

import pytest

import overtop
from helpers import import_rules

LAYERS = (
    ("errors", "seeds", "device", "terms", "labels", "columns", "means", "memory", "progress"),
    ("config",),
    ("storage", "reference"),
    ("downloads",),
    ("datasets",),
    ("encoders", "retrieval"),
    ("attacks", "radius"),
    ("training",),
    ("adapters",),
    ("estimators",),
    ("evaluation",),
    ("confidence",),
    ("figures", "tables"),
    ("report",),
    ("pipeline",),
    ("screen",),
    ("cli",),
    ("__main__",),
)
"""Packages and top-level modules from the lowest to the highest; each may import itself and lower layers only."""

MODULES_WITHOUT_TORCH = (
    "overtop.retrieval.ranking",
    "overtop.retrieval.truncated",
    "overtop.confidence.topk_judge",
    "overtop.radius.radii",
    "overtop.storage.shards",
    "overtop.storage.split",
    "overtop.storage.embedding_files",
    "overtop.adapters.spread",
    "overtop.encoders.sampling",
    "overtop.estimators.registry",
    "overtop.evaluation.calibration",
    "overtop.confidence.fitting",
    "overtop.confidence.answering",
    "overtop.confidence.labelling",
    "overtop.report.assemble",
    "overtop.pipeline.loading",
    "overtop.cli.commands",
    "overtop.cli.topk",
)
"""Modules of rules that run no network, and that therefore do not wait for torch, which takes seconds to import."""

FUNCTION_IMPORTS = {("pipeline.job", "run")}
"""Functions that may import: `run` imports Snakemake's API only for scripts started by hand, so that jobs need not."""


@pytest.fixture(scope="module")
def library(repo: Path) -> Path:
    return repo / "scripts" / "overtop"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """An empty package `lib` with the layers `low` and `high`."""
    write_modules(tmp_path / "lib", {"__init__": '"""A package."""', "low.a": "", "high.b": ""})
    return tmp_path / "lib"


def write_modules(package: Path, sources: dict[str, str]) -> None:
    """Write modules by dotted name."""
    for name, source in sources.items():
        path = package.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)


def assert_none(violations: list[str]) -> None:
    if violations:
        pytest.fail("\n".join(violations), pytrace=False)


def test_library_imports_only_lower_layers(library):
    assert_none(import_rules.upward_imports(library, LAYERS))


def test_library_has_every_part_in_one_layer(library):
    parts = {name.split(".")[0] for name in import_rules.module_files(library)} - {"__init__"}
    assert sorted(part for layer in LAYERS for part in layer) == sorted(parts)


def test_lowest_layer_imports_nothing_of_the_package(library):
    imports = [item for item in import_rules.internal_imports(library) if item.importer in LAYERS[0]]
    assert_none([f"{item.importer}:{item.line} imports {item.imported}" for item in imports])


def test_config_imports_only_terms_and_itself(library):
    imports = [item for item in import_rules.internal_imports(library) if item.importer.startswith("config.")]
    assert imports
    outside = [item for item in imports if item.imported.split(".")[0] not in ("config", "terms")]
    assert_none([f"{item.importer}:{item.line} imports {item.imported}" for item in outside])


def test_library_has_no_import_cycle(library):
    assert_none(import_rules.import_cycles(library))


def test_library_has_no_import_inside_a_function(library):
    assert_none(import_rules.function_level_imports(library, FUNCTION_IMPORTS))


def test_library_has_no_type_checking_block(library):
    assert_none(import_rules.type_checking_blocks(library))


def test_init_files_contain_only_a_docstring_and_lazy_names(library):
    assert_none(import_rules.code_in_init_files(library))


def test_scripts_do_not_index_parents_of_a_path(library):
    assert_none(import_rules.indexed_parents(library.parent))


def test_package_is_imported_without_other_packages():
    code = "import sys; before = set(sys.modules); import overtop; print(*sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    packages = {name.split(".")[0] for name in result.stdout.split()} - sys.stdlib_module_names
    assert packages == {"overtop"}


def test_public_names_exist_and_are_listed():
    assert {"fit", "load", "queries_to_label", "Judge"} <= set(overtop.__all__) <= set(dir(overtop))
    for name in overtop.__all__:
        assert getattr(overtop, name).__doc__, name
    with pytest.raises(AttributeError, match="module 'overtop' has no attribute 'fitt'"):
        _ = overtop.fitt


@pytest.mark.parametrize("module", MODULES_WITHOUT_TORCH)
def test_module_is_imported_without_torch(module):
    code = f"import sys, {module}; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


@pytest.mark.parametrize(
    "source",
    ["from lib.high import b", "from lib.high.b import x", "import lib.high.b", "def f():\n    from ..high import b"],
)
def test_upward_import_is_reported(package, source):
    write_modules(package, {"low.a": source})
    line = source.count("\n") + 1
    violations = import_rules.upward_imports(package, [["low"], ["high"]])
    assert violations == [f"low.a:{line} imports high.b: low is below high"]


def test_downward_import_is_accepted(package):
    write_modules(package, {"high.b": "from lib.low.a import x\nimport json\nfrom library import y"})
    assert import_rules.upward_imports(package, [["low"], ["high"]]) == []


def test_import_within_a_layer_is_reported(package):
    write_modules(package, {"low.a": "from lib.high import b"})
    violations = import_rules.upward_imports(package, [["low", "high"]])
    assert violations == ["low.a:1 imports high.b: low and high are in the same layer"]


def test_part_without_a_layer_is_reported(package):
    write_modules(package, {"high.b": "from lib.low import a"})
    assert import_rules.upward_imports(package, [["high"]]) == ["high.b:1 imports low.a: low is in no layer"]


def test_cycle_between_modules_of_one_package_is_reported_once(package):
    write_modules(
        package, {"low.a": "from lib.low import c", "low.c": "from lib.low import d", "low.d": "import lib.low.a"}
    )
    assert import_rules.import_cycles(package) == ["low.a -> low.c -> low.d -> low.a"]


def test_shared_import_is_no_cycle(package):
    write_modules(package, {"high.b": "from lib.low import a, c", "low.a": "from lib.low import c", "low.c": ""})
    assert import_rules.import_cycles(package) == []


def test_import_inside_a_function_is_reported(package):
    write_modules(package, {"low.a": "import json\n\n\nclass A:\n    def f(self):\n        import csv"})
    (violation,) = import_rules.function_level_imports(package)
    assert violation.startswith("low.a:6 f() contains `import csv`")
    assert import_rules.function_level_imports(package, {("low.a", "f")}) == []


@pytest.mark.parametrize("test", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_type_checking_block_is_reported(package, test):
    write_modules(package, {"low.a": f"import typing\nif {test}:\n    import json"})
    (violation,) = import_rules.type_checking_blocks(package)
    assert violation.startswith("low.a:2 uses TYPE_CHECKING")


def test_code_in_an_init_file_is_reported(package):
    write_modules(
        package, {"__init__": '"""A."""\n__version__ = "1"', "low.__init__": '"""B."""\nfrom lib.low import a'}
    )
    (violation,) = import_rules.code_in_init_files(package)
    assert violation.startswith("low.__init__:2 contains `from lib.low import a`")


LAZY = """'''A.'''
from importlib import import_module

_LAZY = {"f": "lib.low.a"}
'''Modules.'''
__all__ = [*_LAZY]


def __getattr__(name):
    return getattr(import_module(_LAZY[name]), name)


def __dir__():
    return [*_LAZY]
"""


def test_lazy_names_are_accepted_in_the_package_itself(package):
    write_modules(package, {"__init__": LAZY})
    assert import_rules.code_in_init_files(package) == []


def test_lazy_names_are_reported_in_a_part_of_the_package(package):
    write_modules(package, {"low.__init__": LAZY})
    assert len(import_rules.code_in_init_files(package)) == 5


@pytest.mark.parametrize(
    "code",
    ["from importlib import reload", "import numpy", "def load():\n    pass", "x = 1", "_LAZY['f'] = 'g'", "f()"],
)
def test_other_code_in_the_package_itself_is_reported(package, code):
    write_modules(package, {"__init__": LAZY + code})
    (violation,) = import_rules.code_in_init_files(package)
    assert violation.startswith("__init__:15 contains `")


def test_indexed_parent_is_reported(package):
    write_modules(package, {"low.a": "x = path.resolve().parents[2]\ny = path.parent"})
    (violation,) = import_rules.indexed_parents(package)
    assert violation.startswith("low.a:1 contains `path.resolve().parents[2]`")
