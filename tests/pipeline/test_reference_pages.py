"""The generated parts of the documentation, and what they are generated from."""

import re

import pandas as pd
import pytest

from helpers.cascade_inputs import make_cascade_inputs
from helpers.written_columns import as_pattern, documented, has_documented_columns, undocumented_tables
from overtop.columns.meanings import COLUMNS, MEANINGS, describe
from overtop.config.model import Config
from overtop.errors import OvertopError
from overtop.evaluation.cascade import CascadeSettings, run_cascade
from overtop.pipeline.column_tables import TABLES, column_tables
from overtop.pipeline.key_tables import configuration_keys
from overtop.pipeline.reference_pages import GENERATED, SCHEMA, fill_page, write_generated


@pytest.fixture
def keys():
    """The rows of the page of keys: key, type and values, default, meaning."""
    rows = re.findall(r"^\| `([^`]+)`[^|]*\| (.*?) \| (.*?) \| (.*?) \|$", configuration_keys(), re.M)
    return {key: rest for key, *rest in rows}


@pytest.mark.parametrize("page", sorted({page for page, _ in GENERATED}))
def test_page_has_the_generated_parts(repo, page):
    text = (repo / page).read_text()
    assert fill_page(page, text) == text, "run `make schema`"


def test_generated_files_are_written_where_they_belong(repo, tmp_path):
    pages = {page for page, _ in GENERATED}
    for path in (*pages, SCHEMA):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    for page in pages:
        names = [name for of_page, name in GENERATED if of_page == page]
        marks = "".join(f"<!-- {name}: begin -->\nold\n<!-- {name}: end -->\n" for name in names)
        (tmp_path / page).write_text(f"# Title\n{marks}last line\n")
    write_generated(tmp_path)
    assert (tmp_path / SCHEMA).read_text() == (repo / SCHEMA).read_text()
    for page in pages:
        text = (tmp_path / page).read_text()
        assert text.startswith("# Title\n")
        assert text.endswith("\nlast line\n")
        assert "\nold\n" not in text


def test_page_without_marks_is_an_error():
    with pytest.raises(OvertopError, match="docs/columns.md: <!-- columns: begin --> ... <!-- columns: end --> is mi"):
        fill_page("docs/columns.md", "# Columns\n<!-- columns: begin -->\n")


def test_every_key_of_the_configuration_is_explained(keys):
    schema = Config.model_json_schema()
    models = [schema, *schema["$defs"].values()]
    fields = [(name, field) for model in models for name, field in model.get("properties", {}).items()]
    unexplained = [name for name, field in fields if "const" not in field and not field.get("description")]
    assert unexplained == []
    shown = {part.removesuffix("[]") for key in keys for part in key.split(".")} | {*schema["properties"]}
    assert {name for name, field in fields if "const" not in field} - shown == set()


@pytest.mark.parametrize(
    ("key", "type_", "default"),
    [
        ("temperature.softmax", "number > 0 or `fitted`", "`0.01`"),
        ("evaluation.bootstrap.resamples", "integer ≥ 100", "`2000`"),
        ("embedding.precision", "`fp32`, `tf32`, `bf16`, `fp16`", '`"fp32"`'),
        ("held_out.NAME.of", "text", "required"),
        ("routes[].shards", "text", "required"),
        ("estimators", "list of: text", "26 names"),
        ("ranking.slices", "mapping to: integer ≥ 2", "`{}`"),
        ("finetune.objective.scale", "number > 0", "`180.0`"),
    ],
)
def test_key_has_its_type_and_default(keys, key, type_, default):
    if key == "estimators":  # several sections have a key of this name
        row = re.search(r"^\| `estimators` \| (.*?) \| (.*?) \|", configuration_keys(), re.M)
        assert row.groups() == (type_, default)
    else:
        assert keys[key][:2] == [type_, default]


def test_every_column_with_a_meaning_is_in_a_table():
    names = {name for table in TABLES for name in table.names()}
    assert set(COLUMNS) - names == set()


def test_every_column_of_a_table_has_a_meaning():
    page = column_tables()
    for table in TABLES:
        for name in table.names():
            assert table.describe(name).meaning, (table.path, name)
            assert f"| `{name}`" in page or table.is_interval_end(name)


def test_column_without_a_meaning_is_an_error():
    with pytest.raises(OvertopError, match="'recal' of results/tables/{table}.csv has no meaning"):
        TABLES[0].describe("recal")


def test_end_of_an_interval_has_the_meaning_of_its_number():
    assert describe("aurc_high") == ("number", "0 to 1", "upper end of the interval of aurc")
    assert describe("nothing_high") is None
    assert MEANINGS["aurc"] == COLUMNS["aurc"].meaning
    assert not [name for name, meaning in MEANINGS.items() if "`" in meaning]


def test_tables_of_a_cascade_have_the_documented_columns():
    inputs = [make_cascade_inputs(seed) for seed in (0, 1)]
    settings = CascadeSettings("margin", "top1_consistency", "corrected", (0, 0.1), resamples=100, level=0.9, seed=0)
    result = run_cascade(*inputs, "t2i", settings)
    for part in ("curve", "votes", "spent"):
        [table] = documented(f"results/cascades/mine/{part}.csv")
        assert set(table.columns) == {*getattr(result, part).columns, "direction"}


def test_written_table_with_other_columns_is_found(tmp_path):
    folder = tmp_path / "results" / "members"
    folder.mkdir(parents=True)
    [table] = documented("results/members/mine.csv")
    pd.DataFrame(columns=list(table.columns)).to_csv(folder / "mine.csv", index=False)
    assert undocumented_tables(tmp_path) == []
    pd.DataFrame(columns=[*table.columns, "new"]).to_csv(folder / "more.csv", index=False)
    pd.DataFrame(columns=list(table.columns[1:])).to_csv(folder / "less.csv", index=False)
    assert [line.split(":")[0] for line in undocumented_tables(tmp_path)] == [
        "results/members/less.csv",
        "results/members/more.csv",
    ]


def test_training_log_may_have_a_column_per_term():
    [log] = documented("results/training/mine.csv")
    assert has_documented_columns(log, [*log.columns, "kl_dirichlet"])
    assert not has_documented_columns(log, list(log.columns[1:]))


def test_pattern_matches_the_files_of_a_path():
    assert re.fullmatch(as_pattern("results/tables/{table}.csv"), "results/tables/demo.csv")
    assert not re.fullmatch(as_pattern("results/tables/{table}.csv"), "results/tables/more/demo.csv")
