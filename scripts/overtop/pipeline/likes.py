"""Entries of config.yaml that are like another one: `like: OTHER` is replaced by what it stands for.

An alias of YAML would copy a value: programs that edit the file (`dvc exp run -S`) would change the original alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_origin

from overtop.config.model import Config
from overtop.errors import OvertopError, did_you_mean

LIKE = "like"
"""The key that names the entry whose keys an entry takes."""

SECTIONS = tuple(name for name, field in Config.model_fields.items() if get_origin(field.annotation) is dict)
"""The sections that consist of named entries."""


def resolve_likes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give each entry with `like: OTHER` the keys of that entry of its section, its own first, at every depth.

    Args:
        values: the parsed YAML, with command-line overrides merged in.

    Returns:
        The same values without any `like`.

    Raises:
        OvertopError: entries are like none of their section, or like themselves; one line each.
    """
    mistakes: list[str] = []
    resolved = dict(values)
    for section in SECTIONS:
        if isinstance(entries := values.get(section), Mapping):
            mistakes += _find_mistakes(section, entries)
            resolved[section] = entries if mistakes else {name: _resolve(entries, name) for name in entries}
    if mistakes:
        raise OvertopError("\n".join(mistakes))
    return resolved


def describe_likes(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema of the configuration in which entries may have `like`; the keys of these are not checked."""
    description = {"type": "string", "description": "entry of this section whose keys it takes; its own are preferred"}
    for section in SECTIONS:
        patterns = schema["properties"][section]["patternProperties"]
        for pattern, entry in patterns.items():
            patterns[pattern] = {"if": {"required": [LIKE]}, "then": {"properties": {LIKE: description}}, "else": entry}
    return schema


def _find_mistakes(section: str, entries: Mapping[str, Any]) -> Iterator[str]:
    """One line per entry whose `like` is unknown, or leads back to itself."""
    for name in entries:
        key, other = f"{section}.{name}.{LIKE}", _like(entries, name)
        if other is None:
            continue
        if not isinstance(other, str) or other not in entries:
            others = [str(known) for known in entries if known != name]
            yield f"{key}: no entry {other!r} in {section}; {did_you_mean(str(other), others)}"
            continue
        seen = [name]
        while isinstance(other, str) and other in entries and other not in seen:
            seen.append(other)
            other = _like(entries, other)
        if other == name:
            yield f"{key}: {' is like '.join([*seen, name])}; remove `{LIKE}` from one of them"


def _like(entries: Mapping[str, Any], name: str) -> Any:
    entry = entries[name]
    return entry.get(LIKE) if isinstance(entry, Mapping) else None


def _resolve(entries: Mapping[str, Any], name: str) -> Any:
    other = _like(entries, name)
    if other is None:
        return entries[name]
    own = {key: value for key, value in entries[name].items() if key != LIKE}
    return _merge(_resolve(entries, other), own)


def _merge(base: Any, own: Any) -> Any:
    """The keys of two mappings, the second preferred; anything but two mappings is replaced."""
    if not (isinstance(base, Mapping) and isinstance(own, Mapping)):
        return own
    return {**base, **{key: _merge(base.get(key), value) for key, value in own.items()}}
