"""All keys of config.yaml as Markdown, from the typed models: name, type and values, default, meaning."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from overtop.config.model import Config

Schema = Mapping[str, Any]

_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_LONGEST_DEFAULT = 100
_TYPES = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false"}


class _Row(NamedTuple):
    """A key: its name with dots, type, default and meaning, all Markdown."""

    key: str
    type: str
    default: str
    meaning: str


def configuration_keys() -> str:
    """Every section of config.yaml with its keys, as Markdown.

    Keys of nested settings have dots; `NAME` stands for a name of one's own, `[]` for the entries of a list. A section
    of named entries has a table for each kind of entry; keys of most kinds are in a table of their own.
    """
    schema = Config.model_json_schema()
    keys = _KeyReader(schema["$defs"])
    plain: list[_Row] = []
    sections: list[str] = []
    for name, field in schema["properties"].items():
        if models := keys.entry_models(field):
            sections += ["", f"### `{name}`", "", _sentence(field["description"]), *keys.describe_entries(models)]
        else:
            plain += keys.rows(name, field, is_required=name in schema["required"])
    return "\n".join(["### Settings", "", *_table(plain), *sections])


class _KeyReader:
    """Reads keys from the JSON schema with these definitions."""

    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions

    def entry_models(self, field: Schema) -> list[Schema]:
        """The models that the entries of a section may have; none if it does not have named entries."""
        values = field.get("patternProperties", {}).values()
        return [self._resolve(option) for entry in values for option in entry.get("oneOf", [entry])]

    def describe_entries(self, models: Sequence[Schema]) -> list[str]:
        """The tables of the kinds of entries of a section."""
        if len(models) == 1:
            return ["", _about(models[0]), "", *_table(self._model_rows("", models[0]))]
        rows = {_kinds(model): self._model_rows("", model) for model in models}
        holders: dict[_Row, list[str]] = {}
        for kinds, of_model in rows.items():
            for row in of_model:
                holders.setdefault(row, []).append(kinds)
        shared = {row: kinds for row, kinds in holders.items() if len(kinds) >= max(3, len(models) / 2)}
        lines = []
        for model, (kinds, of_model) in zip(models, rows.items(), strict=True):
            own = [row for row in of_model if row not in shared]
            lines += ["", f"**kind {kinds}.** {_about(model)}", "", *(_table(own) if own else ["No keys of its own."])]
        if shared:
            common = [
                row._replace(meaning=row.meaning + _exceptions([kinds for kinds in rows if kinds not in holding]))
                for row, holding in shared.items()
            ]
            lines += ["", "Keys of several kinds:", "", *_table(common)]
        return lines

    def rows(self, key: str, field: Schema, *, is_required: bool) -> Iterator[_Row]:
        """The row of a key, or those of the keys inside it."""
        suffix, value = self._unwrap(field)
        models = self._inner_models(value)
        default = "required" if is_required else _default(field["default"])
        if not models:
            yield _Row(f"`{key}`", self._type(field), default, _cell(field["description"]))
            return
        if is_required or suffix or not field["default"] or len(models) > 1:
            yield _Row(f"`{key}`", "keys as follows", default, _cell(field["description"]))
        for tag, model in models.items():
            for row in self._model_rows(f"{key}{suffix}.", model):
                yield row._replace(key=row.key + tag)

    def _model_rows(self, prefix: str, model: Schema) -> list[_Row]:
        """The rows of the keys of a model, except the one that names its kind."""
        required = model.get("required", [])
        return [
            row
            for name, field in model["properties"].items()
            if "const" not in field
            for row in self.rows(f"{prefix}{name}", field, is_required=name in required)
        ]

    def _unwrap(self, field: Schema) -> tuple[str, Schema]:
        """What a list or mapping contains, or the field itself, and how the keys inside are written."""
        options = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
        option = options[0] if len(options) == 1 else field
        if option.get("type") == "array":
            return "[]", option["items"]
        if option.get("type") == "object":
            return ".NAME", _value_of_mapping(option)
        return "", option

    def _inner_models(self, value: Schema) -> dict[str, Schema]:
        """The models of a value, by what is said of their keys: which kind they belong to."""
        if "discriminator" in value:
            name, models = value["discriminator"]["propertyName"], {}
            for option in value["oneOf"]:
                model = self._resolve(option)
                models[f" ({name} {_kinds(model, name)})"] = model
            return models
        model = self._resolve(value)
        return {"": model} if "properties" in model else {}

    def _type(self, field: Schema) -> str:
        """The type of a value, and which values it may have."""
        if "anyOf" in field:
            return " or ".join(self._type(option) for option in field["anyOf"])
        if "enum" in field or "const" in field:
            return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
        if field["type"] == "null":
            return "`null`"
        if field["type"] == "array":
            return f"list of: {self._type(field['items'])}"
        if field["type"] == "object":
            return f"mapping to: {self._type(_value_of_mapping(field))}"
        bounds = [f"{sign} {field[key]:g}" for key, sign in _BOUNDS.items() if key in field]
        return " ".join(filter(None, [_TYPES[field["type"]], ", ".join(bounds)]))

    def _resolve(self, node: Schema) -> Schema:
        return self._definitions[node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node


def _value_of_mapping(field: Schema) -> Schema:
    values = [*field.get("patternProperties", {}).values(), field.get("additionalProperties")]
    return next(filter(None, values))


def _kinds(model: Schema, name: str = "kind") -> str:
    field = model["properties"][name]
    return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))


def _default(value: Any) -> str:
    """A default as JSON; of a long list its length."""
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if len(text) <= _LONGEST_DEFAULT else f"{len(value)} names"


def _exceptions(kinds: Sequence[str]) -> str:
    return f" (not: {', '.join(kinds)})" if kinds else ""


def _about(model: Schema) -> str:
    return _cell(model["description"].split("\n\nAttributes:")[0])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _table(rows: Sequence[_Row]) -> list[str]:
    head = ["| key | type and values | default | meaning |", "|---|---|---|---|"]
    return [*head, *(f"| {' | '.join(row)} |" for row in rows)]
