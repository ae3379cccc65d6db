import pytest
from pydantic import ValidationError

from overtop.config.encoders import EncoderSpec


@pytest.mark.parametrize("checkpoint", [None, "a-local-copy.safetensors"])
def test_encoder_with_tag_and_optional_local_copy_is_valid(checkpoint: str | None) -> None:
    spec = EncoderSpec(architecture="ViT-B-32", tag="openai", checkpoint=checkpoint)
    assert spec.is_downloaded == (checkpoint is None)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"tag": "openai", "train": {"dataset": "shapes"}}, "not both"),
        ({"tag": "openai", "hub": "owner/name"}, "`hub` cannot be combined"),
        ({}, "no weights"),
    ],
)
def test_encoder_without_exactly_one_source_of_weights_is_rejected(weights: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EncoderSpec.model_validate({"architecture": "ViT-B-32", **weights})


def test_encoder_with_unknown_key_is_rejected() -> None:
    with pytest.raises(ValidationError, match="arhitecture"):
        EncoderSpec.model_validate({"arhitecture": "ViT-B-32", "tag": "openai"})
