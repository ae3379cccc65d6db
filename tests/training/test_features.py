import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from overtop.errors import OvertopError
from overtop.storage.split import Split
from overtop.training.features import TrunkFeatures, read_trunk_features, write_trunk_features

ARCHITECTURE = "lite0-minilm"
SPLIT = Split(["a", "b"], ["", ""], ["1", "2", "3"], ["u", "v", "w"], np.array([0, 0, 1]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    features = TrunkFeatures(torch.randn(2, 5), torch.randn(3, 4))
    write_trunk_features(tmp_path / "features.safetensors", features, ARCHITECTURE, SPLIT)
    return tmp_path / "features.safetensors"


def test_features_are_read_back(path: Path) -> None:
    torch.manual_seed(0)
    features = read_trunk_features(path, ARCHITECTURE, SPLIT)
    assert torch.equal(features.image, torch.randn(2, 5))
    assert torch.equal(features.text, torch.randn(3, 4))


def test_features_of_another_split_or_architecture_are_rejected(path: Path) -> None:
    other_split = dataclasses.replace(SPLIT, captions=["u", "v", "another caption"])
    with pytest.raises(OvertopError, match="another split or with other towers"):
        read_trunk_features(path, ARCHITECTURE, other_split)
    with pytest.raises(OvertopError, match="another split or with other towers"):
        read_trunk_features(path, "lite1-minilm", SPLIT)


def test_features_of_other_prompts_are_rejected(tmp_path: Path) -> None:
    classes = Split(["a"], [""], ["0"], ["cat"], np.array([-1]), labels=[np.array([0])], templates=["a {c}"])
    features = TrunkFeatures(torch.zeros(1, 5), torch.zeros(1, 4))
    write_trunk_features(tmp_path / "a.safetensors", features, ARCHITECTURE, classes)
    assert torch.equal(read_trunk_features(tmp_path / "a.safetensors", ARCHITECTURE, classes).text, features.text)
    with pytest.raises(OvertopError, match="another split or with other towers"):
        read_trunk_features(
            tmp_path / "a.safetensors", ARCHITECTURE, dataclasses.replace(classes, templates=["the {c}"])
        )


def test_truncated_file_is_rejected(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(OvertopError, match="has no digest|content differs from its digest"):
        read_trunk_features(path, ARCHITECTURE, SPLIT)
