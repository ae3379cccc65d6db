import json

import numpy as np
import pytest

from overtop.confidence.mappings import IsotonicMapping, LogisticMapping, SoftmaxMapping
from overtop.confidence.model import (
    QUANTILE_LEVELS,
    Calibration,
    ConfidenceModel,
    Measure,
    ModelFacts,
    Threshold,
    read_models,
    write_models,
)
from overtop.errors import OvertopError
from overtop.storage.json_files import write_json

MAPPINGS = [SoftmaxMapping(), LogisticMapping("logit", -0.25, 1.5), IsotonicMapping((0.1, 0.5), (0.75, 1 / 3))]


def make_model(mapping=MAPPINGS[0]):
    measure = Measure(0.5, 0.4, np.inf)
    return ConfidenceModel(
        estimator="bank_nnn",
        mapping=mapping,
        facts=ModelFacts(
            gallery_size=1000,
            gallery_fingerprint="0123",
            encoder="ViT-B-32",
            dims=(512, 512),
            bank={"size": 50, "fingerprint": "4567"},
            provenance={"dataset": "mine", "score": -np.inf},
        ),
        thresholds=(Threshold(0.9, 0.125, 0.3), Threshold(0.95, -np.inf, 0.0), Threshold(0.5, np.inf, 1.0)),
        n_queries=200,
        n_hits=120,
        n_threshold_queries=134,
        calibration=Calibration(measure, measure, measure, 0.02),
        nll_by_mapping={"softmax": 0.5},
        similarity_quantiles=tuple(np.linspace(0.1, 0.4, len(QUANTILE_LEVELS)).tolist()),
    )


@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda mapping: mapping.kind)
def test_models_are_read_as_they_were_written(tmp_path, mapping):
    models = {"t2i": make_model(mapping), "i2t": ConfidenceModel("max_softmax", SoftmaxMapping(), ModelFacts(3))}
    write_models(tmp_path / "trust.json", models)
    read = read_models(tmp_path / "trust.json")
    assert read["i2t"] == models["i2t"]
    assert read["t2i"].mapping == mapping
    assert read["t2i"].thresholds == models["t2i"].thresholds
    assert read["t2i"].calibration == models["t2i"].calibration
    assert read["t2i"].facts.provenance["score"] == "-Infinity"


def test_file_is_json_without_infinite_numbers(tmp_path):
    write_models(tmp_path / "trust.json", {"queries": make_model()})

    def reject(constant):
        raise AssertionError(constant)

    content = json.loads((tmp_path / "trust.json").read_text(), parse_constant=reject)
    assert content["schema"] == "confidence/1"
    assert content["models"]["queries"]["thresholds"][1]["threshold"] == "-Infinity"


def test_levels_of_quantiles_are_ascending_from_0_to_1():
    assert (np.diff(QUANTILE_LEVELS) > 0).all()
    assert set(QUANTILE_LEVELS) >= {0.0, 0.005, 0.5, 0.995, 1.0}


def test_threshold_of_each_precision_is_found_despite_rounding():
    model = make_model()
    assert model.default_precision == 0.9
    assert model.threshold(0.1 + 0.8).threshold == 0.125
    assert model.threshold(0.5).threshold == np.inf


def test_precision_without_a_threshold_is_an_error():
    with pytest.raises(OvertopError, match=r"precision 0.8: this confidence model has thresholds for 0.9, 0.95, 0.5"):
        make_model().threshold(0.8)
    with pytest.raises(OvertopError, match="made without labels and has no thresholds"):
        ConfidenceModel("max_softmax", SoftmaxMapping(), ModelFacts(3)).threshold(0.9)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("confidence/1", "ranking/3", "schema: Input should be 'confidence/1'"),
        ('"estimator": "bank_nnn"', '"estimator": 5', "models.t2i.estimator: Input should be a valid string"),
        ('"kind": "softmax"', '"kind": "beta"', "models.t2i.mapping"),
        ('"n_hits": 120', '"n_hits": 120, "n_hitz": 3', "models.t2i.n_hitz: Unexpected keyword argument"),
        ('"similarity_quantiles": [', '"similarity_quantiles": [0, ', "models.t2i: similarity_quantiles has 44 values"),
    ],
)
def test_file_of_another_version_is_reported_in_one_line(tmp_path, old, new, problem):
    path = tmp_path / "trust.json"
    write_models(path, {"t2i": make_model()})
    write_json(path, json.loads(path.read_text().replace(old, new, 1)))
    with pytest.raises(OvertopError) as error:
        read_models(path)
    message = str(error.value)
    assert message.startswith(f"{path}: is not a confidence model (confidence/1), or is damaged: {problem}")
    assert "\n" not in message


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", "\x00\xff"])
def test_foreign_file_is_reported_in_one_line(tmp_path, content):
    path = tmp_path / "trust.json"
    path.write_text(content)
    with pytest.raises(OvertopError, match="has no digest, .*; make it with `overtop calibrate`") as error:
        read_models(path)
    assert "\n" not in str(error.value)


def test_model_that_was_edited_by_hand_is_refused_with_the_fix(tmp_path):
    path = tmp_path / "trust.json"
    write_models(path, {"t2i": make_model()})
    path.write_text(path.read_text().replace('"n_hits": 120', '"n_hits": 121'))
    with pytest.raises(OvertopError, match="content differs from its digest; make it with `overtop calibrate`"):
        read_models(path)


def test_missing_file_is_reported(tmp_path):
    with pytest.raises(OvertopError, match=r"none.json: no such file; make it with `overtop calibrate`"):
        read_models(tmp_path / "none.json")
