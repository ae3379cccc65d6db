"""From parsed YAML to a checked configuration, or to one line per mistake."""

import json
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from overtop.config.model import Config
from overtop.errors import OvertopError, did_you_mean
from overtop.pipeline.checks import cross_checks
from overtop.pipeline.derived import derive_entries
from overtop.pipeline.likes import describe_likes, resolve_likes
from overtop.storage.bounds import MAX_CONFIG_DEPTH, MAX_CONFIG_VALUES


def load_config(values: Mapping[str, Any], origin: str = "config.yaml") -> Config:
    """Check a configuration as far as possible without reading data or importing torch.

    Args:
        values: the parsed YAML, with command-line overrides merged in.
        origin: file name for messages.

    Raises:
        OvertopError: all mistakes at once, one line each with the key, what is wrong, and the fix.
    """
    _check_extent(values, origin)
    mistakes: list[str] = []
    try:
        config = derive_entries(Config.model_validate(resolve_likes(values)))
        mistakes = list(cross_checks(config))
    except ValidationError as error:
        mistakes = list(_format_errors(error))
    except OvertopError as error:
        mistakes = str(error).splitlines()
    if mistakes:
        raise OvertopError("\n".join(f"{origin}: {line}" for line in mistakes))
    return config


def editor_schema() -> str:
    """The JSON schema of config.yaml, for editors."""
    return json.dumps(describe_likes(Config.model_json_schema()), indent=2) + "\n"


def _check_extent(values: Any, origin: str) -> None:
    """Raise an error if a configuration repeats values by aliases without end, or is nested too deeply."""
    left = MAX_CONFIG_VALUES
    pending = [(values, 1)]
    while pending:
        value, depth = pending.pop()
        children = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        left -= len(children)
        if left < 0 or depth > MAX_CONFIG_DEPTH:
            raise OvertopError(
                f"{origin}: has more than {MAX_CONFIG_VALUES:,} values, or values nested deeper than "
                f"{MAX_CONFIG_DEPTH}; remove aliases of aliases"
            )
        pending.extend((child, depth + 1) for child in children)


def _format_errors(error: ValidationError) -> Iterator[str]:
    """One line per error of pydantic, unknown keys with the closest known one."""
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            yield f"{key}: unknown key; {did_you_mean(str(item['loc'][-1]), _known_keys(item['loc']))}"
        else:
            given = "" if item["type"] == "missing" else f" (given: {reprlib.repr(item['input'])})"
            yield f"{key}: {item['msg'].removeprefix('Value error, ')}{given}"


def _known_keys(location: tuple[int | str, ...]) -> set[str]:
    """The keys that are allowed at the location of an unknown one, from the schema."""
    schema = Config.model_json_schema()

    def resolve(node: dict[str, Any]) -> dict[str, Any]:
        return schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node

    node = schema
    for part in location[:-1]:
        node = resolve(node)
        if "discriminator" in node:  # pydantic includes the chosen kind as a step of the location
            node = resolve({"$ref": node["discriminator"]["mapping"][str(part)]})
        elif str(part) in node.get("properties", {}):
            node = node["properties"][str(part)]
            node = next((option for option in node.get("anyOf", []) if "$ref" in option), node)
        else:
            node = node.get("additionalProperties") or node.get("items") or next(iter(_pattern_values(node)), {})
    return set(resolve(node).get("properties", {}))


def _pattern_values(node: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return node.get("patternProperties", {}).values()
