"""The script end to end: predictions, scores and shards as input, a table in three forms and its checks as output."""

import copy

import numpy as np
import pandas as pd
import pytest

from helpers.robustness_inputs import ATTACKS, N_IMAGES, RIGHT, robustness_job, study_spec, study_views, write_shards
from helpers.scripts import load_script
from overtop.errors import OvertopError
from overtop.reference.ucat import DATASETS
from overtop.storage.shards import write_shard
from overtop.storage.tables import write_table
from overtop.terms import CLEAN

robustness = load_script("robustness")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return robustness_job(tmp_path_factory.mktemp("study"))


@pytest.fixture
def job(inputs, tmp_path):
    """A job with the shared input files, and outputs of its own."""
    job = copy.deepcopy(inputs)
    for name, path in vars(job.output).items():
        setattr(job.output, name, tmp_path / path.name)
    return job


def test_accuracies_are_those_of_the_files_and_intervals_contain_them(job):
    robustness.main(job)
    table = pd.read_csv(job.output.csv)
    assert set(table["dataset"]) == {"cifar10", "captions", "average"}
    for (model, view), right in RIGHT.items():
        rows = table[(table["model"] == model) & (table["view"] == view)]
        expected = (right - (model == "UCAT")) / N_IMAGES  # the second encoder has two fewer
        np.testing.assert_allclose(rows["value"], expected)
        assert ((rows["value_low"] <= rows["value"]) & (rows["value"] <= rows["value_high"])).all()
        deviation = np.std([right, right - 2], ddof=1) / N_IMAGES if model == "UCAT" else np.nan
        np.testing.assert_allclose(rows["value_sd"], deviation, atol=1e-6)


def test_table_gives_the_full_specification_of_each_attack_and_passed_checks(job):
    robustness.main(job)
    text = job.output.md.read_text()
    assert text.startswith("All 14 sanity checks of the attacks that apply passed.")
    assert "- pgd-1: PGD on the cross-entropy, L-infinity, epsilon 1/255, 10 steps of 1/255, random start" in text
    assert "pyautoattack 0.2.0, clean pixels where it fails, seed 0; fp32, images of 48 pixels" in text
    assert "- aa-1: for each image the worst of the clean image and pgd-1, dlr-1" in text
    assert "seed 0" in job.output.tex.read_text()
    assert (pd.read_csv(job.output.checks)["result"] != "failed").all()


def test_perturbation_outside_the_ball_is_at_the_top_of_the_table(job, tmp_path):
    views = [view for view in study_views() if view["view"] != CLEAN]
    job.input.attacked, job.params.attacked_views = write_shards(tmp_path, views, shards=2, largest=1.5)
    robustness.main(job)
    first = job.output.md.read_text().split("\n## ")[0]
    assert first.startswith("**Failed sanity checks of the attacks:**")
    assert "at most 1.5/255 of 1/255" in first
    checks = pd.read_csv(job.output.checks)
    assert (checks.loc[checks["check"] == "ball", "result"] == "failed").all()


def test_other_images_in_one_file_are_an_error(job, tmp_path):
    job.input.hits[1] = tmp_path / "other.parquet"
    write_table(job.input.hits[1], pd.DataFrame({"image_id": ["x"], "hit": [True], "probability": ["model"]}))
    with pytest.raises(OvertopError, match=r"cifar10: CLIP \(pgd-1\) was evaluated on other images"):
        robustness.main(job)


def test_shard_without_an_attack_is_an_error(job, tmp_path):
    path = tmp_path / "clean.h5"
    write_shard(path, np.ones((1, 1, 2), dtype=np.float32), ["a"], np.ones(1, dtype=bool), {"shard": 0, "shards": 1})
    job.input.attacked[0] = path
    with pytest.raises(OvertopError, match=r"clean\.h5: contains no attacked images"):
        robustness.main(job)


def test_measures_of_several_labels_have_their_own_sections(job, tmp_path):
    views = study_views(datasets=["coco"], views=[CLEAN, "pgd-1"])
    measures = {"measure": ["map", "f1_at_3"], "value": [0.5, 0.4], "low": 0.45, "high": 0.55, "n_images": 9}
    for number, view in enumerate(views):
        job.input.multilabel.append(tmp_path / f"{number}.csv")
        write_table(job.input.multilabel[-1], pd.DataFrame(measures).assign(**view))
    job.params.multilabel_views = views
    robustness.main(job)
    rows = pd.read_csv(job.output.csv).query("dataset == 'coco' and model == 'UCAT' and view == 'pgd-1'")
    assert dict(zip(rows["measure"], rows["value"], strict=True)) == {"map": 0.5, "f1_at_3": 0.4}
    text = job.output.md.read_text()
    assert "## MSCOCO (9 images), mAP" in text
    assert "Average over 2 data sets" in text
    section = text.split("## MSCOCO (9 images), mAP")[1].split("##")[0]
    assert "| Model | clean | pgd-1 |\n" in section


def test_paper_is_not_shown_for_other_data_sets(job):
    job.params.spec = study_spec(reference="ucat")
    robustness.main(job)
    assert pd.read_csv(job.output.csv)["paper_value"].isna().all()
    assert "cannot be compared with these (tinyimagenet, cifar100" in job.output.md.read_text()


def test_paper_is_shown_beside_the_average_of_its_data_sets(job):
    """The same files under the names of the 16 data sets, with the paper's number of steps."""
    attacks = {**ATTACKS, "pgd-1": {**ATTACKS["pgd-1"], "steps": 100}}
    views, hits = job.params.views, job.input.hits
    of_cifar = [(view, path) for view, path in zip(views, hits, strict=True) if view["dataset"] == "cifar10"]
    job.params.views = [{**view, "dataset": name} for name in DATASETS for view, _ in of_cifar]
    job.input.hits = [path for _ in DATASETS for _, path in of_cifar]
    job.params.spec, job.params.attacks = study_spec(reference="ucat", datasets=list(DATASETS)), attacks
    robustness.main(job)
    table = pd.read_csv(job.output.csv).set_index(["dataset", "model", "view"])
    assert table.loc[("average", "UCAT", "clean"), "paper_value"] == 0.5417
    assert table.loc[("average", "UCAT", "pgd-1"), "paper_value"] == 0.3220
    assert table.drop("average", level="dataset")["paper_value"].isna().all()
    # This worst case is not the paper's: it has no APGD on the cross-entropy.
    assert np.isnan(table.loc[("average", "UCAT", "aa-1"), "paper_value"])
    assert "paper 54.17" in job.output.md.read_text().replace("\N{NO-BREAK SPACE}", " ")
