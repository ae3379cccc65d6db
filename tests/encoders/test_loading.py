from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.conftest import TRAINED
from overtop.config.encoders import EncoderSpec
from overtop.encoders import catalogue, loading
from overtop.encoders.compat import open_clip
from overtop.encoders.loading import Encoder, build_model, load_encoder, weights_digest
from overtop.errors import OvertopError
from overtop.storage.files import sha256


def test_a_checkpoint_loads_as_open_clip_loads_it(encoder: Encoder, checkpoint: Path) -> None:
    model = open_clip.create_model("shapes-vit", pretrained=str(checkpoint))
    assert weights_digest(encoder.model) == weights_digest(model)
    tokens, _ = encoder.tokenize(["a red circle", "some shapes"])
    with torch.inference_mode():
        assert torch.equal(encoder.model.encode_text(tokens), model.eval().encode_text(tokens))
    assert not encoder.model.training


def test_provenance_tells_what_was_built(encoder: Encoder, checkpoint: Path) -> None:
    assert encoder.provenance["architecture"] == "shapes-vit"
    assert encoder.provenance["checkpoint_sha256"] == sha256(checkpoint)
    assert encoder.provenance["activation"] == "gelu"
    assert encoder.provenance["versions"]["torch"] == torch.__version__
    assert encoder.widths == {"image": 64, "text": 64}


@pytest.mark.parametrize(
    ("activation", "trained_with_quick_gelu", "built"),
    [
        ("own", True, "quickgelu"),
        ("own", False, "gelu"),
        ("gelu", True, "gelu"),  # the mismatch of the paper's released code
        ("quickgelu", False, "quickgelu"),
    ],
)
def test_activation_and_preprocessing_follow_the_tag(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, activation: str, trained_with_quick_gelu: bool, built: str
) -> None:
    facts = {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5), "quick_gelu": trained_with_quick_gelu}
    for module in (loading, catalogue):
        monkeypatch.setattr(module, "tag_facts", lambda architecture, tag: facts)
    monkeypatch.setattr(loading, "check_encoder", lambda name, spec: None)
    spec = EncoderSpec.model_validate({"architecture": "shapes-vit", "tag": "some-tag", "activation": activation})
    encoder = load_encoder("tagged", spec, checkpoint)
    assert encoder.provenance["activation"] == built
    assert encoder.model.visual.preprocess_cfg["mean"] == (0.1, 0.2, 0.3)
    black = encoder.preprocess(loading.Image.new("RGB", (48, 48)))
    np.testing.assert_allclose(black[:, 0, 0], [-0.2, -0.4, -0.6], rtol=1e-6)


def test_long_captions_are_cut_and_counted(encoder: Encoder) -> None:
    fits, too_long = " ".join(["red"] * 30), " ".join(["red"] * 31)  # 32 tokens with start and end
    tokens, n_truncated = encoder.tokenize([fits, too_long, "red"])
    assert n_truncated == 1
    assert tokens.shape == (3, 32)
    assert torch.equal(tokens[0], tokens[1])


def test_no_caption_of_the_drawn_world_is_cut(encoder: Encoder) -> None:
    from overtop.datasets.shapes import captions

    texts = [caption.text for five in captions("train", 500, 0) for caption in five]
    assert encoder.tokenize(texts)[1] == 0


def test_missing_and_foreign_weights_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(OvertopError, match=r"tiny.*nowhere.* does not exist"):
        load_encoder("tiny", TRAINED, tmp_path / "nowhere.safetensors")
    with pytest.raises(OvertopError, match="train it first"):
        load_encoder("tiny", TRAINED)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(OvertopError, match=r"damaged.*cannot be loaded into shapes-vit"):
        load_encoder("tiny", TRAINED, damaged)
    foreign = tmp_path / "foreign.safetensors"
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, foreign)
    with pytest.raises(OvertopError, match=r"foreign.*cannot be loaded"):
        load_encoder("tiny", TRAINED, foreign)


def test_an_unknown_architecture_is_refused_before_building() -> None:
    with pytest.raises(OvertopError, match="did you mean 'shapes-vit'"):
        build_model("x", EncoderSpec(architecture="shape-vit", checkpoint="x"), None)


def test_weights_digest_sees_every_weight(encoder: Encoder) -> None:
    before = weights_digest(encoder.model)
    with torch.no_grad():
        encoder.model.logit_scale += 1e-3
    assert weights_digest(encoder.model) != before
