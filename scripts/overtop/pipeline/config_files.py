"""Reading the files of the configuration: what YAML itself accepts silently is an error here, with file and line.

Snakemake reads the same files once more and merges them; this module also tells which of them a key came from.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

from overtop.errors import OvertopError

CONFIG = "config.yaml"
OF_WORKFLOW = ("workflow/sources.yaml", "workflow/robustness.yaml", CONFIG)
"""The files that every run reads, in the order in which they are merged."""

COMMAND_LINE = "--config"
"""The origin of keys that are given on the command line."""

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser in C takes 10 ms for our files, the one in Python 160 ms."""

HINTS = (
    ("violates indentation", "a tab indents this line; use spaces"),
    ("expected key", "is not indented like the lines above; give all keys of one level the same indentation"),
    ("mapping values", "has one `: ` too many, or is indented too deeply; put a value that contains `: ` in quotes"),
    ("could not find expected ':'", "has no `: ` after its key; write `key: value`"),
    (
        "undefined alias",
        "a value that starts with `*` is an alias of an anchor that does not exist; put it in quotes",
    ),
    ("node content", "a value is missing, or a bracket that opens above is not closed"),
    ("another document", "starts a second document; remove `---`"),
    ("unhashable key", "a list or a mapping cannot be a key"),
)
"""What to tell instead of the parser's words that contain the first text."""


class ConfigFile(NamedTuple):
    """One file of the configuration, or what the command line sets.

    Attributes:
        name: the file as the user named it, or `--config`.
        values: its keys.
    """

    name: str
    values: Mapping[str, Any]


def read_config_files(names: Iterable[str | os.PathLike[str]]) -> list[ConfigFile]:
    """Read files of the configuration, in the order in which they are merged.

    Args:
        names: YAML or JSON files.

    Raises:
        OvertopError: files cannot be read, are no YAML, or give a key twice; one line for each mistake.
    """
    files: list[ConfigFile] = []
    mistakes: list[str] = []
    for given in names:
        name = os.fspath(given)
        try:
            files.append(ConfigFile(name, _parse(name, Path(name).read_text(encoding="utf-8"))))
        except OSError as error:
            mistakes.append(f"{name}: cannot be read ({(error.strerror or 'unknown cause').lower()}); correct its path")
        except UnicodeDecodeError as error:
            mistakes.append(f"{name}: is not a text in UTF-8 ({error.reason}); save it as UTF-8")
        except OvertopError as error:
            mistakes += str(error).splitlines()
    if mistakes:
        raise OvertopError("\n".join(mistakes))
    return files


def find_origin(files: Sequence[ConfigFile], line: str) -> str:
    """The file that the key at the start of a message comes from: the last one that has it, or most of its path.

    Args:
        files: the files in the order in which they were merged.
        line: the message, `KEY: what is wrong`.
    """
    depths = [(_depth(file.values, line.partition(": ")[0]), number) for number, file in enumerate(files)]
    deepest, number = max(depths, default=(0, 0))
    return files[number].name if deepest else CONFIG


def _parse(name: str, text: str) -> Mapping[str, Any]:
    """The keys of a file."""
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise OvertopError(f"{name}: has no keys; write `key: value`, as in {CONFIG}")
        if repeated := list(_find_repeated(node)):
            raise OvertopError("\n".join(f"{name}: {line}" for line in repeated))
        values: Mapping[str, Any] = loader.construct_document(node)
        return values
    except yaml.YAMLError as error:
        raise OvertopError(f"{name}: {_describe(error, text)}") from None
    except RecursionError:
        raise OvertopError(f"{name}: is nested too deeply") from None
    finally:
        loader.dispose()


def _find_repeated(root: yaml.MappingNode) -> list[str]:
    """A line for each key that is given twice, of which YAML would silently take the last."""
    found: list[tuple[int, str]] = []
    pending: list[tuple[str, yaml.Node]] = [("", root)]
    seen: set[int] = set()
    while pending:
        path, node = pending.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            pending += [(f"{path}{number}.", item) for number, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            first: dict[tuple[str, str], yaml.Node] = {}
            for key, value in node.value:
                name = str(key.value)
                if (other := first.setdefault((key.tag, name), key)) is not key:
                    found.append((key.start_mark.line + 1, _describe_repeated(path + name, other)))
                pending.append((f"{path}{name}.", value))
    return [f"line {number}: {text}" for number, text in sorted(found)]


def _describe_repeated(path: str, first: yaml.Node) -> str:
    key = path.rpartition(".")[2]
    return (
        f"{path} is already in line {first.start_mark.line + 1}, and YAML would take only the last; write one "
        f"`{key}:`, or put your own entries into another file and give it with --configfile"
    )


def _describe(error: yaml.YAMLError, text: str) -> str:
    """The place and the cause of a mistake in YAML, in one line."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:  # a character that no text has
        return f"is not valid YAML ({' '.join(str(error).split())}); remove the character"
    problem, begin = f"{error.problem}", error.context_mark
    if "expected ':'" in problem and begin is not None:  # noticed only in the next line
        mark = begin
    character = "".join(text.splitlines()[mark.line : mark.line + 1])[mark.column : mark.column + 1]
    hint = next((hint for words, hint in HINTS if words in problem), None)
    if "cannot start any token" in problem:
        hint = HINTS[0][1] if character == "\t" else f"a value cannot start with `{character}`; put it in quotes"
    elif begin is not None and f"{error.context}".endswith(("flow sequence", "flow mapping")):
        hint = f"the bracket that opens in line {begin.line + 1}, column {begin.column + 1} is not closed"
    elif begin is not None and "quoted" in f"{error.context}":
        hint = f"the quote that opens in line {begin.line + 1}, column {begin.column + 1} is not closed"
    return f"line {mark.line + 1}, column {mark.column + 1}: {hint or f'is not valid YAML ({problem})'}"


def _depth(values: Any, key: str) -> int:
    """How many parts of a key's path some values have."""
    depth = 0
    while key:
        names = [str(name) for name in values] if isinstance(values, Mapping) else []
        if isinstance(values, list):
            names = [str(number) for number in range(len(values))]
        # Names of entries may contain dots.
        name = max((name for name in names if key == name or key.startswith(f"{name}.")), key=len, default=None)
        if name is None:
            break
        depth += 1
        values = values[int(name)] if isinstance(values, list) else _get(values, name)
        key = key[len(name) + 1 :]
    return depth


def _get(values: Mapping[Any, Any], name: str) -> Any:
    """The value of a key by the key's text."""
    return next(value for key, value in values.items() if str(key) == name)
