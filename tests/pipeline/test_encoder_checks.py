import pytest

from overtop.errors import OvertopError
from overtop.pipeline.config_files import ConfigFile
from overtop.pipeline.encoder_checks import check_encoders
from overtop.pipeline.loading import load_config

SHAPES = {"kind": "shapes"}


def config(encoders, posteriors=None):
    return load_config(
        {"datasets": {"shapes": SHAPES}, "encoders": encoders, "posteriors": posteriors or {}, "tables": {}}
    )


def test_encoders_that_open_clip_can_build_pass():
    check_encoders(
        config(
            {"a": {"architecture": "ViT-L-14", "tag": "openai"}, "b": {"architecture": "shapes-vit", "checkpoint": "x"}}
        )
    )


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ({"architecture": "ViT-B-33", "tag": "openai"}, r"encoders\.x\.architecture: .*ViT-B-32"),
        ({"architecture": "ViT-B-32", "tag": "open_ai"}, r"encoders\.x\.tag: .*did you mean 'openai'"),
    ],
)
def test_unknown_architecture_or_tag_is_named_with_the_closest(encoder, message):
    with pytest.raises(OvertopError, match=rf"config\.yaml: {message}"):
        check_encoders(config({"x": encoder}))


def test_all_mistakes_are_reported_at_once():
    encoders = {name: {"architecture": name, "checkpoint": "x"} for name in ("none", "nothing")}
    with pytest.raises(OvertopError) as error:
        check_encoders(config(encoders), [ConfigFile("mine.yaml", {"encoders": encoders})])
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["mine.yaml", "mine.yaml"]


@pytest.mark.parametrize("protocols", [["published"], ["corrected"], ["published", "corrected"]])
def test_activation_that_contradicts_the_weights_is_allowed_only_under_published(protocols):
    encoders = {"e": {"architecture": "ViT-L-14", "tag": "openai", "activation": "gelu"}}
    posterior = {"kind": "deterministic", "encoder": "e", "protocols": protocols}
    declared = config(encoders, {"p": posterior})
    if protocols == ["published"]:
        check_encoders(declared)
    else:
        with pytest.raises(OvertopError, match=r"posteriors\.p: encoder 'e' has activation gelu, but .* quickgelu"):
            check_encoders(declared)
