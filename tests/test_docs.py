import contextlib
import doctest
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from helpers.pipeline import read_committed_config
from helpers.recipe_costs import TEST_IMAGES, cost_tables
from overtop.confidence import transfer
from overtop.config.model import Config
from overtop.config.transfers import TransferSpec
from overtop.pipeline.answers import locate
from overtop.pipeline.loading import load_config

REPO = Path(__file__).resolve().parents[1]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(str(p.relative_to(REPO)) for p in REPO.glob("docs/*.md")),
]


def code_blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)


def merge(values: dict[str, Any], entries: Mapping[str, Any]) -> None:
    """Merge nested mappings in place, as Snakemake merges files given by --configfile."""
    for key, value in entries.items():
        if isinstance(value, Mapping) and isinstance(values.get(key), dict):
            merge(values[key], value)
        else:
            values[key] = value


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_of_page_exist(page):
    text = re.sub(r"```.*?```", "", (REPO / page).read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = ((REPO / page).parent / path).resolve() if path else REPO / page
        assert linked.exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(linked), f"{page}: {target}"


def test_every_page_is_in_the_navigation():
    navigation = (REPO / "mkdocs.yml").read_text().split("nav:")[1]
    missing = [page.name for page in REPO.glob("docs/*.md") if f": {page.name}\n" not in navigation]
    assert missing == []


def test_yaml_examples_of_robustness_page_are_a_valid_configuration():
    values = read_committed_config(REPO)
    for example in code_blocks(REPO / "docs" / "robustness.md", "yaml"):
        merge(values, yaml.safe_load(example))
    assert "mine" in load_config(values).robustness


def test_evaluation_page_explains_every_column_of_transfers():
    page = (REPO / "docs" / "evaluation.md").read_text().split("## Confidence models")[1]
    columns = [re.sub("_(low|high)$", "", name) for name in (*transfer.COLUMNS, *transfer.THRESHOLD_COLUMNS)]
    keys = {"dataset", "split", "direction", "estimator", "target", "confidence"}  # as in all tables
    assert [name for name in columns if f"`{name}`" not in page and name not in keys] == []


def test_study_of_evaluation_page_is_declared():
    [example] = code_blocks(REPO / "docs" / "evaluation.md", "yaml")
    declared = load_config(read_committed_config(REPO)).transfers
    assert {name: TransferSpec.model_validate(spec) for name, spec in yaml.safe_load(example)["transfers"].items()} == {
        "imported": declared["imported"]
    }


def test_yaml_examples_of_own_data_page_are_a_valid_configuration():
    values = read_committed_config(REPO)
    examples = code_blocks(REPO / "docs" / "own-data.md", "yaml")
    assert len(examples) >= 5
    for example in examples:
        merge(values, yaml.safe_load(example))
    config = load_config(values)
    assert {"mine"} <= set(config.datasets) & set(config.tables) & set(config.cascades)


def test_example_configuration_is_the_one_of_own_data_page():
    shown = yaml.safe_load(code_blocks(REPO / "docs" / "own-data.md", "yaml")[0])
    assert yaml.safe_load((REPO / "docs" / "mine.yaml").read_text()) == shown


def test_example_of_answers_searches_for_texts_of_a_file_of_the_docs():
    values = read_committed_config(REPO)
    merge(values, yaml.safe_load((REPO / "docs" / "answers.yaml").read_text()))
    config = load_config(values)
    table = config.answers["shapes"].queries.location
    assert table is not None
    assert locate(config, "table", str(REPO / "docs" / table)).is_file()


def test_file_of_query_performance_predictors_adds_them_to_the_default_estimators():
    values = read_committed_config(REPO)
    default = values["estimators"]
    merge(values, yaml.safe_load((REPO / "docs" / "qpp.yaml").read_text()))
    estimators = load_config(values).estimators
    added = {f"{name}_{k}" for name in ("nqc", "wig", "smv", "lsmv", "gap") for k in (5, 50)}
    assert set(estimators) == {*default, *added}


def test_study_of_real_pictures_compares_all_published_objectives():
    values = read_committed_config(REPO)
    merge(values, yaml.safe_load((REPO / "docs" / "robustness-photos.yaml").read_text()))
    config = load_config(values)
    models = [name for names in config.robustness["photos"].models.values() for name in names]
    specs = [spec for spec in (config.encoders[name].finetune for name in models) if spec is not None]
    objectives = {spec.objective.kind for spec in specs}
    assert objectives >= {"tecoa", "pmg_aft", "fare", "tga", "ucat", "agft"}
    assert {(spec.base, spec.dataset, spec.epochs) for spec in specs} == {("photos-0", "tinyimagenet100", 2)}


def test_configuration_page_lists_every_section():
    page = (REPO / "docs" / "configuration.md").read_text().split("## All keys")[0]
    settings = {"embedding", "ranking", "temperature", "radius", "evaluation", "operating"}
    assert {name for name in Config.model_fields if f"| `{name}` |" not in page} == settings


@pytest.fixture(scope="module")
def api_names(tmp_path_factory) -> dict[str, Any]:
    """The names that the Python examples of the API page define, run one after the other in an empty folder."""
    names: dict[str, Any] = {}
    with contextlib.chdir(tmp_path_factory.mktemp("api")):
        for example in code_blocks(REPO / "docs" / "api.md", "python"):
            exec(example, names)
    return names


def test_python_example_of_api_page_ranks_and_answers(api_names):
    assert np.isfinite(api_names["uncertainty"]).all()
    assert api_names["hit"][api_names["answered"]].mean() >= 0.9


def test_python_examples_of_api_page_judge_new_queries(api_names):
    page = (REPO / "docs" / "api.md").read_text()
    right = api_names["trusted"]["top1"] == api_names["rows"][600:][api_names["trusted"]["query"]]
    assert len(right) >= 80
    assert right.mean() >= 0.9
    assert api_names["same"].promise() in re.sub("\n# ?", " ", page)
    assert api_names["act"].sum() >= len(right)
    assert api_names["most_certain"].sum() == 160
    assert api_names["ranked"].promise().startswith("no labels")


def test_api_page_names_existing_modules():
    modules = re.findall(r"^::: (\S+)$", (REPO / "docs" / "api.md").read_text(), re.M)
    assert len(modules) >= 10
    missing = [name for name in modules if not (REPO / "scripts" / f"{name.replace('.', '/')}.py").is_file()]
    assert missing == []


def test_paper_page_adds_up():
    """The totals of the tables on costs are the sums of their rows."""
    page = (REPO / "docs" / "paper.md").read_text().replace(",", "")
    jobs = page.split("lists 141 jobs:")[1].split("Of the 38")[0]
    assert sum(int(number) for number in re.findall(r"\d+", jobs)) == 141
    passes = page.split("| pass | images | captions |")[1].split("Together")[0]
    rows = [tuple(map(int, row)) for row in re.findall(r"\| (\d+) \| (\d+) \|$", passes, re.M)]
    assert tuple(map(sum, zip(*rows[:-1], strict=True))) == rows[-1]
    operations = rows[-1][0] * 162e9, rows[-1][1] * 13.3e9
    assert [f"{number / 1e17:.1f}e17" for number in operations] == re.findall(r"[\d.]+e17", passes)


@pytest.mark.parametrize("name", ["fine-tuning", "attacks", "studies"])
def test_page_on_the_recipe_contains_the_generated_costs(name):
    page = (REPO / "docs" / "robustness-recipe.md").read_text()
    shown = page.split(f"<!-- {name}: begin -->\n")[1].split(f"<!-- {name}: end -->")[0]
    table = cost_tables(load_config(read_committed_config(REPO)))[name]
    assert shown.strip() == table, "replace the table by the one of helpers.recipe_costs"
    assert f"{sum(TEST_IMAGES.values()):,} images" in page


def test_file_of_smaller_recipe_limits_all_data_sets_of_the_study():
    values = read_committed_config(REPO)
    merge(values, yaml.safe_load((REPO / "docs" / "recipe-1000.yaml").read_text()))
    config = load_config(values)
    for name in config.robustness["ucat"].datasets:
        spec = config.datasets[name]
        assert spec.limit == {"test": 1000}, name
        assert spec.shards == 1, name
        assert "test" not in spec.expect or spec.expect["test"].images == 1000, name


def test_pre_commit_hooks_have_the_versions_of_the_constraints():
    pins = dict(line.split("==") for line in (REPO / "constraints.txt").read_text().splitlines())
    hooks = yaml.safe_load((REPO / ".pre-commit-config.yaml").read_text())["repos"]
    versions = {repo["repo"].rsplit("/", 1)[-1]: repo.get("rev") for repo in hooks}
    assert versions["ruff-pre-commit"] == f"v{pins['ruff']}"
    assert versions["snakefmt"] == f"v{pins['snakefmt']}"


@pytest.mark.parametrize("path", sorted(str(p.relative_to(REPO)) for p in REPO.glob(".github/**/*.yml")))
def test_github_file_is_valid_yaml(path):
    assert yaml.safe_load((REPO / path).read_text())


def test_continuous_integration_uses_targets_of_the_makefile():
    used = set(re.findall(r"run: make (\S+)", (REPO / ".github" / "workflows" / "ci.yml").read_text()))
    declared = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(), re.M))
    assert used == {"lint", "test-fast", "test-slow", "slurm", "docs"}
    assert used <= declared


MODULES_WITH_EXAMPLES = [
    ".".join(path.relative_to(REPO / "scripts").with_suffix("").parts)
    for path in sorted((REPO / "scripts" / "overtop").rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("module", MODULES_WITH_EXAMPLES)
def test_docstring_examples_of_module_run(module):
    assert doctest.testmod(import_module(module)).failed == 0


def test_messages_of_troubleshooting_page_are_in_the_code():
    """Each quoted message: its parts between `...` are texts of the library or of the workflow."""
    files = [*(REPO / "scripts").rglob("*.py"), *(REPO / "workflow").rglob("*.smk")]
    source = "".join(path.read_text() for path in files)
    code = re.sub(r'"\s*\n\s*(?:#[^\n]*\n\s*)?f?"', "", source)  # texts that continue in the next line
    messages = re.findall(r"^\*\*`([^`]+)`\*\*", (REPO / "docs" / "troubleshooting.md").read_text(), re.M)
    assert len(messages) >= 10
    for message in messages[1:]:  # the first is of the shell
        parts = [part.removeprefix("overtop: ").strip(" :") for part in re.split(r"\.\.\.|; |['?]", message)]
        assert [part for part in parts if len(part) > 8 and part not in code] == [], message
