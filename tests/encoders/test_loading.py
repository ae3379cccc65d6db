import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from helpers.encoder_inputs import SHAPES_SPEC
from overtop.config.encoders import EncoderSpec
from overtop.datasets.scene_captions import generate_captions
from overtop.encoders import loading
from overtop.encoders.compat import open_clip
from overtop.encoders.loading import Encoder, build_model, load_encoder, weights_digest
from overtop.errors import OvertopError
from overtop.storage.files import sha256

LOCAL_SPEC = EncoderSpec(architecture="shapes-vit", checkpoint="x")
"""An encoder whose weights a user names, in contrast to those that are trained here."""


def test_checkpoint_is_loaded_like_open_clip_does(encoder: Encoder, checkpoint: Path) -> None:
    model = open_clip.create_model("shapes-vit", pretrained=str(checkpoint))
    assert weights_digest(encoder.model) == weights_digest(model)
    tokens, _ = encoder.tokenize(["a red circle", "some shapes"])
    with torch.inference_mode():
        assert torch.equal(encoder.model.encode_text(tokens), model.eval().encode_text(tokens))
    assert not encoder.model.training


def test_provenance_describes_the_built_encoder(encoder: Encoder, checkpoint: Path) -> None:
    assert encoder.provenance["architecture"] == "shapes-vit"
    assert encoder.provenance["checkpoint_sha256"] == sha256(checkpoint)
    assert encoder.provenance["activation"] == "gelu"
    assert encoder.provenance["versions"]["torch"] == torch.__version__
    assert encoder.widths == {"image": 64, "text": 64}


@pytest.mark.parametrize(
    ("activation", "trained_with_quick_gelu", "built_activation"),
    [
        ("own", True, "quickgelu"),
        ("own", False, "gelu"),
        ("gelu", True, "gelu"),  # the mismatch of the paper's released code
        ("quickgelu", False, "quickgelu"),
    ],
)
def test_activation_and_preprocessing_follow_the_tag(
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    activation: str,
    trained_with_quick_gelu: bool,
    built_activation: str,
) -> None:
    tag_config = {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5), "quick_gelu": trained_with_quick_gelu}
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda architecture, tag: tag_config)
    monkeypatch.setattr(loading, "check_encoder", lambda name, spec: None)
    spec = EncoderSpec.model_validate({"architecture": "shapes-vit", "tag": "some-tag", "activation": activation})
    encoder = load_encoder("tagged", spec, checkpoint)
    assert encoder.provenance["activation"] == built_activation
    assert encoder.model.visual.preprocess_cfg["mean"] == (0.1, 0.2, 0.3)
    black = encoder.preprocess(Image.new("RGB", (48, 48)))
    np.testing.assert_allclose(black[:, 0, 0], [-0.2, -0.4, -0.6], rtol=1e-6)


def test_captions_longer_than_the_context_are_truncated_and_counted(encoder: Encoder) -> None:
    fits, too_long = " ".join(["red"] * 30), " ".join(["red"] * 31)  # 32 tokens with start and end
    tokens, n_truncated = encoder.tokenize([fits, too_long, "red"])
    assert n_truncated == 1
    assert tokens.shape == (3, 32)
    assert torch.equal(tokens[0], tokens[1])


def test_no_caption_of_the_shapes_data_set_is_truncated(encoder: Encoder) -> None:
    texts = [caption.text for five in generate_captions("train", 500, 0) for caption in five]
    assert encoder.tokenize(texts)[1] == 0


def test_missing_damaged_and_foreign_weights_are_rejected(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(OvertopError, match=r"nowhere.safetensors: no such file; run the rule that makes it"):
        load_encoder("tiny", SHAPES_SPEC, tmp_path / "nowhere.safetensors")
    with pytest.raises(OvertopError, match=r"tiny.*nowhere.* does not exist"):
        load_encoder("tiny", LOCAL_SPEC, tmp_path / "nowhere.safetensors")
    with pytest.raises(OvertopError, match="train it first"):
        load_encoder("tiny", SHAPES_SPEC)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(OvertopError, match=r"damaged.safetensors: content differs from its digest; delete it"):
        load_encoder("tiny", SHAPES_SPEC, damaged)
    with pytest.raises(OvertopError, match=r"damaged.*cannot be loaded into shapes-vit"):
        load_encoder("tiny", LOCAL_SPEC, damaged)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, foreign)
    with pytest.raises(OvertopError, match=r"foreign.*cannot be loaded"):
        load_encoder("tiny", LOCAL_SPEC, foreign)
    with pytest.raises(OvertopError, match=r"foreign.safetensors: has no digest"):
        load_encoder("tiny", SHAPES_SPEC, foreign)


def test_checkpoint_of_overtop_with_a_flipped_bit_is_rejected_whoever_names_it(
    checkpoint: Path, tmp_path: Path
) -> None:
    content = bytearray(checkpoint.read_bytes())
    content[-7] ^= 1
    (tmp_path / "c.safetensors").write_bytes(content)
    for spec in (SHAPES_SPEC, LOCAL_SPEC):
        with pytest.raises(OvertopError, match=r"c.safetensors: content differs from its digest"):
            load_encoder("tiny", spec, tmp_path / "c.safetensors")


def test_unknown_architecture_is_rejected_before_building() -> None:
    with pytest.raises(OvertopError, match="did you mean 'shapes-vit'"):
        build_model("x", EncoderSpec(architecture="shape-vit", checkpoint="x"), None)


def test_weights_digest_depends_on_every_weight(encoder: Encoder) -> None:
    before = weights_digest(encoder.model)
    with torch.no_grad():
        encoder.model.logit_scale += 1e-3
    assert weights_digest(encoder.model) != before


def test_weights_that_are_not_finite_are_rejected(encoder: Encoder, tmp_path: Path) -> None:
    weights = {key: value.contiguous() for key, value in encoder.model.state_dict().items()}
    weights["logit_scale"] = torch.tensor(float("nan"))
    save_file(weights, tmp_path / "w.safetensors")
    with pytest.raises(OvertopError, match=r"w\.safetensors has weights 'logit_scale' that are not finite"):
        load_encoder("tiny", LOCAL_SPEC, tmp_path / "w.safetensors")


@pytest.mark.parametrize("suffix", ["pt", "bin", "pth", "ckpt", "safetensors", "npz"])
def test_pickle_is_not_executed(suffix: str, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "executed",)

    path = tmp_path / f"w.{suffix}"
    path.write_bytes(pickle.dumps(Payload()))
    torch.save({"state_dict": Payload()}, tmp_path / f"t.{suffix}")
    for file in (path, tmp_path / f"t.{suffix}"):
        with pytest.raises(OvertopError, match="cannot be loaded into shapes-vit"):
            load_encoder("tiny", LOCAL_SPEC, file)
    assert not (tmp_path / "executed").exists()
