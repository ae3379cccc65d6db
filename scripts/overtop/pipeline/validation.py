"""The errors of pydantic in plain English, with the keys as they are in YAML.

Pydantic's own paths contain the chosen kind of an entry and the members of unions, which no file contains.
"""

import difflib
import functools
import re
import reprlib
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from overtop.config.base import NAME_PATTERN, POSTERIOR_PATTERN
from overtop.config.model import Config
from overtop.errors import did_you_mean

TYPES = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "list": "a list, such as [A, B]",
    "dict": "keys with values (`KEY: VALUE`)",
    "model": "keys with values (`KEY: VALUE`)",
    "none": "null",
}
"""What a value must be, by the first word of pydantic's type of error."""

BOUNDS = {
    "greater_than": "a number greater than {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than": "a number less than {lt:g}",
    "less_than_equal": "a number of at most {le:g}",
}

IS_NAME = "a name of letters, digits, `_`, `.` and `-` that starts with a letter or a digit"
PATTERNS = {
    rf"^{NAME_PATTERN}$": IS_NAME,
    rf"^{POSTERIOR_PATTERN}$": f"{IS_NAME}, and perhaps `@` and the name of an attack",
    r"^[\w.-]+/[\w.-]+$": "a repository on the hub, OWNER/NAME",
    r"^https?://\S+$": "an address that starts with http:// or https://",
    r"^[0-9a-f]{64}$": "a sha256 digest, 64 hexadecimal digits",
    r"^[0-9a-f]{32}$": "an md5 digest, 32 hexadecimal digits",
    r"\{c\}": "a text with {c} in place of the name of the class",
}
"""What a text must be, by its pattern."""

STARTS_WITH_KEY = re.compile(r"[\w-]+(\.[^ ]+)?: ")

Location = Sequence[int | str]
Schema = dict[str, Any]


def describe_errors(error: ValidationError) -> Iterator[str]:
    """Yield one line for each wrong key of a configuration: the key, what is wrong with it, and how to correct it."""
    schema = _schema()
    wrong: dict[str, list[dict[str, Any]]] = {}  # the members of a union have an error each
    keys: dict[str, Schema] = {}
    for item in error.errors():
        location = item["loc"]
        if item["type"].startswith("union_tag"):
            location = (*location, item["ctx"]["discriminator"].strip("'"))
        parts, parent = _follow(schema, location)
        key = ".".join(map(str, parts))
        wrong.setdefault(key, []).append(dict(item))
        keys[key] = parent
    for key, items in wrong.items():
        text = _describe(key, items, keys[key])
        names_key = STARTS_WITH_KEY.match(text)  # as the checks of a whole entry do
        yield f"{key}.{text}" if key and names_key else f"{key}: {text}".removeprefix(": ")


@functools.cache
def _schema() -> Schema:
    return Config.model_json_schema()


def _follow(schema: Schema, location: Location) -> tuple[list[int | str], Schema]:
    """The keys of a location that YAML has, and the schema of what contains the last one."""

    def resolve(node: Schema) -> Schema:
        while "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        return node

    node, parent = schema, schema
    keys: list[int | str] = []
    for number, part in enumerate(location):
        node = resolve(node)
        if str(part) in (mapping := node.get("discriminator", {}).get("mapping", {})):
            node = parent = resolve({"$ref": mapping[str(part)]})
            continue
        options = [node, *map(resolve, node.get("anyOf", []))]
        inner = next(filter(None, (_inner(option, part) for option in options)), None)
        if inner is not None:
            keys.append(part)
            parent = next(option for option in options if _inner(option, part))
            node = inner
        elif number == len(location) - 1 and part != "[key]":  # missing, unknown, or the kind of an entry
            containers = [option for option in options if "properties" in option or "discriminator" in option]
            keys += [part] if containers else []
            parent = next(iter(containers), parent)
    return keys, parent


def _inner(node: Schema, part: int | str) -> Schema | None:
    """The schema of a key or an item of what a schema describes; None if it has none of this name."""
    if isinstance(part, int):
        found = node.get("items")
    elif part in node.get("properties", {}):
        found = node["properties"][part]
    elif part == "[key]":
        return None
    else:
        found = node.get("additionalProperties") or next(iter(node.get("patternProperties", {}).values()), None)
    return found if isinstance(found, dict) else None


def _describe(key: str, items: list[dict[str, Any]], parent: Schema) -> str:
    """What is wrong with one key, by the errors of all members of its union."""
    item, last = items[0], key.rpartition(".")[2]
    kind, given = item["type"], item["input"]
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        return f"unknown key; {did_you_mean(last, parent.get('properties', {}))}"
    tags = parent.get("discriminator", {}).get("mapping", {})
    if kind == "union_tag_not_found":
        return f"is missing; give one of {', '.join(tags)}"
    if kind == "union_tag_invalid":
        tag = str(item["ctx"]["tag"])
        return f"no {last} {tag!r}; {did_you_mean(tag, tags)}"
    if kind == "value_error":
        shown = "" if isinstance(given, dict | list) else _show(given)
        return item["msg"].removeprefix("Value error, ") + shown
    expected = ", or ".join(dict.fromkeys(map(_expected, items)))
    close = difflib.get_close_matches(str(given), re.findall(r"'([^']+)'", expected), n=1)
    return f"must be {expected}{_show(given)}" + (f"; did you mean {close[0]!r}?" if close else "")


def _expected(item: dict[str, Any]) -> str:
    """What a value must be, by an error of pydantic."""
    kind, context = item["type"], item.get("ctx", {})
    if kind == "literal_error":
        return str(context["expected"])
    if kind in BOUNDS:
        return BOUNDS[kind].format(**context)
    if kind == "too_short":
        least = context["min_length"]
        is_list = context["field_type"] == "List"
        return f"a list of at least {least} value{'s'[: least - 1]}" if is_list else f"at least {least} `KEY: VALUE`"
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context["pattern"], f"a text of the form {context['pattern']}")
    return TYPES.get(kind.partition("_")[0], item["msg"])


def _show(given: Any) -> str:
    """A value as YAML has it, shortened."""
    names = {None: "nothing", True: "true", False: "false"}
    is_name = given is None or isinstance(given, bool)
    return f" (given: {names[given] if is_name else reprlib.repr(given)})"
