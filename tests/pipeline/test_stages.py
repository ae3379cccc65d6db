import json
import shutil

import pytest

from overtop.pipeline.stages import VERSIONS, digest, script_versions, stage_states


@pytest.mark.parametrize("stage", VERSIONS)
def test_stage_with_changed_sources_has_new_version(repo, stage):
    recorded = json.loads((repo / "tests" / "stages.json").read_text())[stage]
    current = stage_states(repo / "scripts")[stage]
    if current["version"] == recorded["version"]:
        assert current["digest"] == recorded["digest"], (
            f"the sources of stage {stage!r} changed. If its results change, raise its version in "
            "overtop/pipeline/stages.py, so that they are made again; then run `make stages`"
        )
    assert current == recorded, "run `make stages`"


def test_stages_are_the_rule_scripts(repo):
    assert {path.stem for path in (repo / "scripts").glob("*.py")} == set(VERSIONS)


@pytest.fixture
def edited_stages(repo, tmp_path):
    """The stages whose digest changes when a module of the library is edited."""

    def edit(module):
        scripts = tmp_path / "scripts"
        shutil.copytree(repo / "scripts", scripts, ignore=shutil.ignore_patterns("__pycache__"))
        path = scripts / "overtop" / module
        path.write_text(path.read_text() + "\nEDITED = True\n")
        return {stage for stage in VERSIONS if digest(stage, scripts) != digest(stage, repo / "scripts")}

    return edit


def test_edit_of_module_changes_only_stages_that_import_it(edited_stages):
    assert edited_stages("confidence/conformal.py") == {"operate"}


def test_edit_of_deep_module_changes_all_stages_above(edited_stages):
    changed = edited_stages("storage/shards.py")
    assert {"embed", "rank", "radius"} <= changed
    assert not {"plot", "table"} & changed


def test_edit_of_data_set_kind_changes_fetch_and_split(edited_stages):
    changed = edited_stages("datasets/shapes.py")
    assert {"fetch", "split"} <= changed
    assert not {"rank", "evaluate", "plot"} & changed


@pytest.mark.parametrize("module", ["config/ranking.py", "pipeline/job.py", "errors.py"])
def test_edit_of_module_without_results_changes_no_stage(edited_stages, module):
    assert edited_stages(module) == set()


def test_version_of_a_rule_changes_with_the_content_of_its_script_alone(repo, tmp_path):
    shutil.copytree(repo / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("overtop"))
    before = script_versions(repo / "scripts")
    assert script_versions(tmp_path / "scripts") == before
    (tmp_path / "scripts" / "rank.py").write_text("# edited")
    after = script_versions(tmp_path / "scripts")
    assert [stage for stage in VERSIONS if before[stage] != after[stage]] == ["rank"]
    assert after["rank"].split("-")[0] == str(VERSIONS["rank"])
