"""Checks of the targets of a run before its graph is built: what no rule makes, and names that are not declared."""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from overtop.config.model import Config
from overtop.errors import OvertopError, did_you_mean
from overtop.pipeline.name_checks import check_has_split
from overtop.terms import IMPORTED

WILDCARD = re.compile(r"\{(\w+)\}")


class Output(NamedTuple):
    """A file that a rule writes.

    Attributes:
        rule: name of the rule.
        pattern: its path with the names of wildcards in braces.
        regex: what its path matches, with a group for each wildcard.
    """

    rule: str
    pattern: str
    regex: re.Pattern[str]


def check_targets(config: Config, targets: Iterable[str], outputs: Sequence[Output], rules: Iterable[str]) -> None:
    """Check that some rule makes each target, of entries that are declared.

    Args:
        config: the configuration.
        targets: files and rules.
        outputs: what the rules write.
        rules: names of all rules.

    Raises:
        OvertopError: one line for each wrong target.
    """
    rules = list(rules)
    mistakes = [line for target in targets for line in _check_target(config, target, outputs, rules)]
    if mistakes:
        raise OvertopError("\n".join(mistakes))


def _check_target(config: Config, target: str, outputs: Sequence[Output], rules: Sequence[str]) -> Iterator[str]:
    if target in rules:
        written = [output for output in outputs if output.rule == target]
        files = [file for files in _declared(config, written).values() for file in files]
        files += [output.pattern for output in written if WILDCARD.search(output.pattern)]
        if files:
            example = next((file for file in files if file in config.targets), files[0])
            yield f"{target}: is a rule that makes many files; name one of them, such as {example}"
        return
    path = os.path.relpath(target)
    matches = [match for output in outputs if (match := output.regex.fullmatch(path))]
    problems = [list(_check_names(config, match.groupdict())) for match in matches]
    if problems and all(problems):
        yield f"{target}: {problems[0][0]}"
    elif not problems and not Path(path).exists():
        yield f"{target}: no rule makes it; {_suggest(config, path, outputs, rules)}"


def _check_names(config: Config, wildcards: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the names in a path."""
    for wildcard, name in wildcards.items():
        entries = _section(config, wildcard)
        if entries and name not in entries and (wildcard, name) != ("encoder", IMPORTED):
            yield f"no {wildcard} {name!r} is declared; {did_you_mean(name, entries)}"
    if {"dataset", "split"} <= wildcards.keys() and wildcards["dataset"] in config.datasets:
        yield from check_has_split(config, wildcards["dataset"], wildcards["split"])


def _section(config: Config, wildcard: str) -> list[str]:
    """The names of the entries that a wildcard can be."""
    section = getattr(config, f"{wildcard}s", None) or getattr(config, wildcard, None)
    return list(section) if isinstance(section, dict) else []


def _declared(config: Config, outputs: Iterable[Output]) -> dict[str, list[str]]:
    """Files of each declared entry that are named after it alone, such as tables, those of its own folder first."""
    files: dict[str, list[str]] = {}
    of_one = [(WILDCARD.findall(output.pattern), output.pattern) for output in outputs]
    of_one = [(names, pattern) for names, pattern in of_one if len(names) == 1]
    sections = [name.removesuffix("s") for name in Config.model_fields]
    of_one.sort(key=lambda each: sections.index(name) if (name := each[0][0]) in sections else len(sections))
    for (wildcard,), pattern in sorted(of_one, key=lambda each: f"/{each[0][0]}" not in each[1]):
        for name in _section(config, wildcard):
            files.setdefault(name, []).append(WILDCARD.sub(name, pattern))
    return files


def _suggest(config: Config, path: str, outputs: Sequence[Output], rules: Sequence[str]) -> str:
    """The end of a message on a path that no rule makes."""
    declared = _declared(config, outputs)
    if "/" not in path:
        words = {rule: rule for rule in rules} | {name: files[0] for name, files in declared.items()}
        close = [path, *difflib.get_close_matches(path, words, n=1)]
        found = next((words[word] for word in close if word in words), None)
        return f"did you mean {found!r}?" if found else f"name a file, such as {config.targets[0]}"
    files = {file for files in declared.values() for file in files}
    files |= {_correct(config, path, output.pattern) for output in outputs}
    close = difflib.get_close_matches(path, files, n=1, cutoff=0.7)
    return f"did you mean {close[0]!r}?" if close else f"name a file, such as {config.targets[0]}"


def _correct(config: Config, path: str, pattern: str) -> str:
    """The path that some output has with the names in `path`, each replaced by the closest declared one."""
    given, parts = path.split("/"), pattern.split("/")
    if len(given) != len(parts):
        return pattern
    values: dict[str, str] = {}
    for word, part in zip(given, parts, strict=True):
        match = re.fullmatch(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(part)), word)
        names = WILDCARD.findall(part)
        values |= match.groupdict() if match else dict.fromkeys(names, word.partition(".")[0])
    for wildcard, name in values.items():
        values[wildcard] = next(iter(difflib.get_close_matches(name, _section(config, wildcard), n=1)), name)
    return WILDCARD.sub(lambda match: values[match[1]], pattern)
