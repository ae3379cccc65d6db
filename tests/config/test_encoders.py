import pytest
from pydantic import ValidationError

from overtop.config.encoders import EncoderSpec


def test_weights_come_from_one_place() -> None:
    EncoderSpec(architecture="ViT-B-32", tag="openai")
    EncoderSpec(architecture="ViT-B-32", tag="openai", checkpoint="a-local-copy.safetensors")
    with pytest.raises(ValidationError, match="not both"):
        EncoderSpec.model_validate({"architecture": "ViT-B-32", "tag": "openai", "train": {"dataset": "shapes"}})
    with pytest.raises(ValidationError, match="no weights"):
        EncoderSpec(architecture="ViT-B-32")


def test_unknown_keys_are_errors() -> None:
    with pytest.raises(ValidationError, match="arhitecture"):
        EncoderSpec.model_validate({"arhitecture": "ViT-B-32", "tag": "openai"})
