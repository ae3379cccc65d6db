import json
import shutil

import pytest

from overtop.pipeline.stages import VERSIONS, digest

RECORD = "stages.json"


def state(scripts):
    """Version and digest of every stage, as `make stages` records them."""
    return {stage: {"version": version, "digest": digest(stage, scripts)} for stage, version in VERSIONS.items()}


@pytest.mark.parametrize("stage", VERSIONS)
def test_a_stage_that_changed_has_a_new_version(repo, stage):
    recorded = json.loads((repo / "tests" / RECORD).read_text())[stage]
    now = state(repo / "scripts")[stage]
    if now["version"] == recorded["version"]:
        assert now["digest"] == recorded["digest"], (
            f"the code behind stage {stage!r} changed. If its results change, raise its version in overtop/stages.py, "
            "so that they are made again; then `make stages`"
        )
    assert now == recorded, "run `make stages`"


def test_every_script_is_a_stage(repo):
    assert {path.stem for path in (repo / "scripts").glob("*.py")} == set(VERSIONS)


def _edited(tmp_path, repo, module, old, new):
    shutil.copytree(repo / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "scripts" / "overtop" / module
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return tmp_path / "scripts"


def _changed(repo, scripts):
    return {stage for stage in VERSIONS if digest(stage, scripts) != digest(stage, repo / "scripts")}


def test_an_edit_concerns_exactly_the_stages_that_use_it(repo, tmp_path):
    scripts = _edited(tmp_path, repo, "evaluation/conformal.py", "import numpy as np", "import numpy as numpy")
    assert _changed(repo, scripts) == {"operate"}


def test_an_edit_deep_down_reaches_every_stage_above(repo, tmp_path):
    scripts = _edited(tmp_path, repo, "store.py", "CHUNK_ITEMS = 256", "CHUNK_ITEMS = 128")
    assert {"embed", "rank", "radius"} <= _changed(repo, scripts)
    assert not {"plot", "tables"} & _changed(repo, scripts)


def test_a_data_set_named_only_in_a_string_counts(repo, tmp_path):
    scripts = _edited(tmp_path, repo, "datasets/shapes.py", "import json", "import json as json")
    assert _changed(repo, scripts) <= {"fetch", "split", "embed", "train", "score", "features", "import_embeddings"}
    assert {"fetch", "split"} <= _changed(repo, scripts)
