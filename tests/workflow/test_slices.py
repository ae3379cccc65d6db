"""A gallery in slices: the same file as in one job, and a refusal where slices are impossible."""

import json

import numpy as np
import pytest

from overtop.memory import CHUNK_IMAGES

pytestmark = pytest.mark.slow

IMAGES, CAPTIONS, SLICES = 2 * CHUNK_IMAGES + 1, 200, 3
RANKING = "results/rankings/many/test/imported.h5"


@pytest.fixture
def many(fresh, tmp_path):
    """A project with a gallery of three chunks."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=(IMAGES, 4)).astype(np.float32)
    owners = np.sort(rng.choice(IMAGES, CAPTIONS, replace=False))
    text = image[owners] + rng.normal(size=(CAPTIONS, 4)).astype(np.float32)
    image[-1] = image[0]  # duplicates in the first and the last slice
    np.savez(tmp_path / "many.npz", image=image, text=text, image_of_caption=owners)
    config = {
        "datasets": {"many": {"kind": "embeddings", "splits": {"test": str(tmp_path / "many.npz")}}},
        "bank": None,
    }
    (fresh.root / "many.json").write_text(json.dumps(config))
    return fresh


def test_ranking_in_slices_is_that_of_one_job_byte_for_byte(many):
    many.run(RANKING, "--configfile", "many.json")
    whole = (many.root / RANKING).read_bytes()
    (many.root / RANKING).unlink()
    in_slices = (RANKING, "--configfile", "many.json", "--config", f"ranking={{slices: {{many: {SLICES}}}}}")
    assert many.planned_jobs(*in_slices) == {"rank_slice": SLICES, "merge_rankings": 1}
    many.run(*in_slices)
    assert (many.root / RANKING).read_bytes() == whole
    assert not list((many.root / RANKING).with_suffix("").glob("*.h5"))  # slices are temporary
    assert many.planned_jobs(*in_slices) == {}


def test_slices_of_a_search_index_or_an_unknown_data_set_are_named_errors(many):
    for ranking, message in (
        ("{search: hnsw, slices: {many: 2}}", "only the exact pass ranks in slices, not hnsw"),
        ("{slices: {mamy: 2}}", "ranking.slices: no data set 'mamy'"),
    ):
        run = many.run(RANKING, "--configfile", "many.json", "--config", f"ranking={ranking}", "--dry-run", check=False)
        assert run.returncode != 0
        assert message in run.stdout + run.stderr
