"""Static checks of the imports of a package: direction between layers, cycles, place in the file.

Every check reads source files with `ast`, imports nothing, and returns one message per violation.
"""

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

Layers = Sequence[Sequence[str]]
"""Names of packages and top-level modules in groups, from the lowest layer to the highest."""


@dataclass(frozen=True)
class Import:
    """One import of a module of the package: dotted names without the package's own, and the line."""

    importer: str
    imported: str
    line: int


def module_files(package: Path) -> dict[str, Path]:
    """Return the modules of a package by dotted name without the package's own; `__init__` files count as well."""
    return {".".join(path.relative_to(package).with_suffix("").parts): path for path in sorted(package.rglob("*.py"))}


def internal_imports(package: Path) -> list[Import]:
    """Return all imports between modules of the package, wherever they are in the file."""
    files = module_files(package)
    return [
        Import(importer, imported, node.lineno)
        for importer, path in files.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for imported in _imported_modules(node, importer, package.name, set(files))
    ]


def _imported_modules(node: ast.AST, importer: str, package: str, modules: set[str]) -> set[str]:
    """Return the modules that one statement imports; `from a import b` imports `a.b` where that is a module."""
    if isinstance(node, ast.Import):
        names = [(alias.name, None) for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        parents = f"{package}.{importer}".split(".")[: -node.level] if node.level else []
        source = ".".join([*parents, *([node.module] if node.module else [])])
        names = [(source, alias.name) for alias in node.names]
    else:
        return set()
    imported = set()
    for source, name in names:
        if source != package and not source.startswith(f"{package}."):
            continue
        inner = source.removeprefix(package).lstrip(".")
        candidates = [".".join(filter(None, (inner, name))), inner]
        modules_and_packages = [c for c in candidates if c in modules or f"{c}.__init__".lstrip(".") in modules]
        imported.add(modules_and_packages[0] if modules_and_packages else candidates[0])
    return imported


def upward_imports(package: Path, layers: Layers) -> list[str]:
    """List imports of a higher layer, of another part of the same layer, and of a part that is in no layer."""
    level = {part: number for number, layer in enumerate(layers) for part in layer}
    messages = []
    for item in internal_imports(package):
        importer, imported = item.importer.split(".")[0], item.imported.split(".")[0]
        if importer == imported or importer == "__init__":
            continue
        if unknown := [part for part in (importer, imported) if part not in level]:
            reason = f"{unknown[0] or package.name} is in no layer"
        elif level[importer] < level[imported]:
            reason = f"{importer} is below {imported}"
        elif level[importer] == level[imported]:
            reason = f"{importer} and {imported} are in the same layer"
        else:
            continue
        messages.append(f"{item.importer}:{item.line} imports {item.imported}: {reason}")
    return messages


def import_cycles(package: Path) -> list[str]:
    """List the cycles between modules, each once, as `a -> b -> a`."""
    imports: dict[str, list[str]] = {name: [] for name in module_files(package)}
    for item in internal_imports(package):
        imported = item.imported if item.imported in imports else f"{item.imported}.__init__"
        if imported in imports and imported != item.importer:
            imports[item.importer].append(imported)
    finished: set[str] = set()
    cycles: list[str] = []

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            cycles.append(" -> ".join([*path[path.index(module) :], module]))
        elif module not in finished:
            for imported in imports[module]:
                visit(imported, [*path, module])
            finished.add(module)

    for module in imports:
        visit(module, [])
    return cycles


def function_level_imports(package: Path, allowed: Collection[tuple[str, str]] = ()) -> list[str]:
    """List import statements inside functions.

    Args:
        package: folder of the package.
        allowed: (module, function) pairs that may contain imports.
    """
    return [
        f"{module}:{node.lineno} {function.name}() contains `{ast.unparse(node)}`: move it to the top of the module"
        for module, tree in _trees(package)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and (module, function.name) not in allowed
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def type_checking_blocks(package: Path) -> list[str]:
    """List uses of `typing.TYPE_CHECKING`."""
    return [
        f"{module}:{node.lineno} uses TYPE_CHECKING: import at the top of the module instead"
        for module, tree in _trees(package)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "TYPE_CHECKING")
        or (isinstance(node, ast.Attribute) and node.attr == "TYPE_CHECKING")
    ]


LAZY_NAMES = ("__version__", "__all__", "_LAZY")
"""What the `__init__` of the package itself may assign: its version, and its public names with their modules."""

LAZY_FUNCTIONS = ("__getattr__", "__dir__")
"""The functions that import a public name at its first use."""


def code_in_init_files(package: Path) -> list[str]:
    """List statements of `__init__` files other than strings.

    That of the package itself may also define its version, and import its public names lazily: `LAZY_NAMES`,
    `LAZY_FUNCTIONS` and `from importlib import import_module`.
    """
    return [
        f"{module}:{node.lineno} contains `{ast.unparse(node)}`: only a docstring may be there"
        for module, tree in _trees(package)
        if module.split(".")[-1] == "__init__"
        for node in tree.body
        if not _is_string(node) and not (module == "__init__" and _is_lazy_import(node))
    ]


def _is_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_lazy_import(node: ast.stmt) -> bool:
    """Whether a statement is one of those by which the package itself imports its public names lazily."""
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Name) and target.id in LAZY_NAMES for target in node.targets)
    if isinstance(node, ast.FunctionDef):
        return node.name in LAZY_FUNCTIONS
    return isinstance(node, ast.ImportFrom) and ast.unparse(node) == "from importlib import import_module"


def indexed_parents(folder: Path) -> list[str]:
    """List expressions like `path.parents[2]`, which depend on the depth of a folder."""
    return [
        f"{module}:{node.lineno} contains `{ast.unparse(node)}`: pass the folder as an argument"
        for module, tree in _trees(folder)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "parents"
    ]


def _trees(package: Path) -> Iterator[tuple[str, ast.Module]]:
    for module, path in module_files(package).items():
        yield module, ast.parse(path.read_text(encoding="utf-8"))
