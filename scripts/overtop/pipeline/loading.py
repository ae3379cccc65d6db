"""From parsed YAML to a checked configuration, or to one line per mistake."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from overtop.config.model import Config
from overtop.errors import OvertopError
from overtop.pipeline.checks import cross_checks
from overtop.pipeline.config_files import CONFIG, ConfigFile, find_origin
from overtop.pipeline.derived import derive_entries
from overtop.pipeline.likes import describe_likes, resolve_likes
from overtop.pipeline.validation import describe_errors
from overtop.storage.bounds import MAX_CONFIG_DEPTH, MAX_CONFIG_VALUES

MAX_MISTAKES = 20
"""Mistakes that are listed: one cause, such as a data set that is missing, may make hundreds of them."""


def load_config(values: Mapping[str, Any], files: Sequence[ConfigFile] = ()) -> Config:
    """Check a configuration as far as possible without reading data or importing torch.

    Args:
        values: the parsed YAML, with command-line overrides merged in.
        files: what was merged, in this order, to name the file that a wrong key comes from; by default config.yaml.

    Raises:
        OvertopError: all mistakes at once, one line each with the key, what is wrong, and the fix; of very many, the
            first and the number of the others.
    """
    _check_extent(values)
    mistakes: list[str] = []
    try:
        config = derive_entries(Config.model_validate(resolve_likes(values)))
        mistakes = list(cross_checks(config))
    except ValidationError as error:
        mistakes = list(describe_errors(error))
    except OvertopError as error:
        mistakes = str(error).splitlines()
    if mistakes:
        lines = list(dict.fromkeys(f"{find_origin(files, line)}: {line}" for line in mistakes))
        others = [f"and {len(lines) - MAX_MISTAKES} mistakes more"] if len(lines) > MAX_MISTAKES else []
        raise OvertopError("\n".join(lines[:MAX_MISTAKES] + others))
    return config


def editor_schema() -> str:
    """The JSON schema of config.yaml, for editors."""
    return json.dumps(describe_likes(Config.model_json_schema()), indent=2) + "\n"


def _check_extent(values: Any) -> None:
    """Raise an error if a configuration repeats values by aliases without end, or is nested too deeply."""
    left = MAX_CONFIG_VALUES
    pending = [(values, 1)]
    while pending:
        value, depth = pending.pop()
        children = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        left -= len(children)
        if left < 0 or depth > MAX_CONFIG_DEPTH:
            raise OvertopError(
                f"{CONFIG}: has more than {MAX_CONFIG_VALUES:,} values, or values nested deeper than "
                f"{MAX_CONFIG_DEPTH}; remove aliases of aliases"
            )
        pending.extend((child, depth + 1) for child in children)
