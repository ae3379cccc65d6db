import pytest

from overtop.config.encoders import EncoderSpec
from overtop.encoders.catalogue import OWN_MODELS, check_encoder, has_mismatched_activation, native_activation
from overtop.encoders.compat import open_clip
from overtop.errors import OvertopError


def test_own_architectures_are_registered_with_open_clip():
    own = {path.stem for path in OWN_MODELS.glob("*.json")}
    assert "shapes-vit" in own
    assert own <= set(open_clip.list_models())


def test_existing_architectures_and_tags_pass():
    check_encoder("a", EncoderSpec(architecture="ViT-B-32", tag="openai"))
    check_encoder("b", EncoderSpec(architecture="shapes-vit", checkpoint="some.safetensors"))


@pytest.mark.parametrize(
    ("architecture", "tag", "message"),
    [
        ("vit-b-32", "openai", r"encoders\.x\.architecture.*did you mean 'ViT-B-32'"),
        ("ViT-B-32", "openia", r"encoders\.x\.tag.*did you mean 'openai'"),
        ("ViT-B-32", "zzzzzzzz", r"encoders\.x\.tag.*known: .*openai"),
        ("shapes-vit", "openai", r"encoders\.x\.tag.*train it"),
    ],
)
def test_unknown_architecture_or_tag_is_rejected_with_a_suggestion(architecture, tag, message):
    with pytest.raises(OvertopError, match=message):
        check_encoder("x", EncoderSpec(architecture=architecture, tag=tag))


@pytest.mark.parametrize(
    ("architecture", "tag", "activation", "native", "mismatched"),
    [
        ("ViT-L-14", "openai", "own", "quickgelu", False),
        ("ViT-L-14", "openai", "gelu", "quickgelu", True),  # as the released code builds it
        ("ViT-L-14", "openai", "quickgelu", "quickgelu", False),
        ("ViT-L-14-quickgelu", "dfn2b", "own", "quickgelu", False),
        ("ViT-L-14", "dfn2b_s39b", "own", "gelu", False),
        ("ViT-L-14", "laion2b_s32b_b82k", "quickgelu", "gelu", True),
    ],
)
def test_native_activation_with_tag_is_that_of_the_tag(architecture, tag, activation, native, mismatched):
    spec = EncoderSpec(architecture=architecture, tag=tag, activation=activation)
    assert native_activation(spec) == native
    assert has_mismatched_activation(spec) is mismatched


@pytest.mark.parametrize(
    ("architecture", "native"), [("ViT-B-32-quickgelu", "quickgelu"), ("ViT-B-32", "gelu"), ("shapes-vit", "gelu")]
)
def test_native_activation_without_tag_is_that_of_the_architecture(architecture, native):
    assert native_activation(EncoderSpec(architecture=architecture, checkpoint="x.pt")) == native
