import subprocess
import sys

import pytest

from overtop.config.encoders import EncoderSpec
from overtop.encoders import catalogue
from overtop.encoders.compat import open_clip
from overtop.errors import OvertopError


def test_it_says_what_open_clip_says() -> None:
    open_clip.add_model_config(catalogue.OWN_MODELS)
    assert catalogue.architectures() == sorted(open_clip.list_models())
    assert catalogue.tags("ViT-L-14") == open_clip.list_pretrained_tags_by_model("ViT-L-14")
    assert catalogue.tag_facts("ViT-L-14", "openai") == open_clip.pretrained.get_pretrained_cfg("ViT-L-14", "openai")


def test_known_encoders_pass() -> None:
    catalogue.check_encoder("a", EncoderSpec(architecture="ViT-B-32", tag="openai"))
    catalogue.check_encoder("b", EncoderSpec(architecture="shapes-vit", checkpoint="some.safetensors"))


@pytest.mark.parametrize(
    ("architecture", "tag", "message"),
    [
        ("vit-b-32", "openai", r"encoders\.x\.architecture.*did you mean 'ViT-B-32'"),
        ("ViT-B-32", "openia", r"encoders\.x\.tag.*did you mean 'openai'"),
        ("ViT-B-32", "zzzzzzzz", r"encoders\.x\.tag.*known: .*openai"),
        ("shapes-vit", "openai", r"encoders\.x\.tag.*train it"),
    ],
)
def test_unknown_ones_are_refused_with_the_closest(architecture: str, tag: str, message: str) -> None:
    with pytest.raises(OvertopError, match=message):
        catalogue.check_encoder("x", EncoderSpec(architecture=architecture, tag=tag))


def test_checking_a_configuration_imports_neither_torch_nor_open_clip() -> None:
    script = (
        "import sys; from overtop.encoders.catalogue import check_encoder;"
        "from overtop.encoders.spec import EncoderSpec;"
        "check_encoder('x', EncoderSpec(architecture='ViT-B-32', tag='openai'));"
        "sys.exit(bool({'torch', 'open_clip', 'torchvision'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("architecture", "tag", "activation", "own", "contradicts"),
    [
        ("ViT-L-14", "openai", "own", "quickgelu", False),
        ("ViT-L-14", "openai", "gelu", "quickgelu", True),  # as the released code builds it
        ("ViT-L-14", "openai", "quickgelu", "quickgelu", False),
        ("ViT-L-14-quickgelu", "dfn2b", "own", "quickgelu", False),
        ("ViT-L-14", "dfn2b_s39b", "own", "gelu", False),
        ("ViT-L-14", "laion2b_s32b_b82k", "quickgelu", "gelu", True),
    ],
)
def test_a_tag_tells_its_activation(architecture, tag, activation, own, contradicts):
    spec = EncoderSpec(architecture=architecture, tag=tag, activation=activation)
    assert catalogue.own_activation(spec) == own
    assert catalogue.contradicts_its_weights(spec) is contradicts


def test_without_a_tag_the_architecture_tells_the_activation():
    for architecture, own in (("ViT-B-32-quickgelu", "quickgelu"), ("ViT-B-32", "gelu"), ("shapes-vit", "gelu")):
        assert catalogue.own_activation(EncoderSpec(architecture=architecture, checkpoint="x.pt")) == own
