import pytest

from overtop.config.encoders import EncoderSpec
from overtop.errors import OvertopError
from overtop.pipeline import paths
from overtop.pipeline.loading import load_config

VALUES = {
    "datasets": {
        "shapes": {"kind": "classes", "files": {"layout": "shapes"}, "shards": 2},
        "captions": {"kind": "shapes"},
    },
    "encoders": {
        "tagged": {"architecture": "ViT-B-32", "tag": "openai", "activation": "gelu"},
        "tuned": {"finetune": {"from": "tagged", "dataset": "shapes", "objective": {"kind": "tecoa"}}},
        "again": {"finetune": {"from": "tuned", "dataset": "shapes", "objective": {"kind": "ucat"}}},
    },
    "attacks": {"pgd": {"kind": "pgd", "epsilon": 1}},
    "posteriors": {
        "again": {"kind": "mc_dropout", "encoder": "tagged", "passes": 3},
        "ensemble": {"kind": "ensemble", "members": ["tuned", "tagged"]},
    },
    "tables": {"t": {"datasets": ["shapes"], "posteriors": ["tuned@pgd", "again@pgd"]}},
}


def with_finetune(**changes):
    tuned = {"finetune": VALUES["encoders"]["tuned"]["finetune"] | changes}
    return VALUES | {"encoders": VALUES["encoders"] | {"tuned": tuned}}


def with_figure(encoder):
    return VALUES | {"figures": {"f": {"kind": "training", "encoders": [encoder]}}}


@pytest.fixture(scope="module")
def config():
    return load_config(VALUES)


@pytest.mark.parametrize("name", ["tuned", "again"])
def test_finetuned_encoder_has_what_its_base_has(config, name):
    spec = config.encoders[name]
    assert (spec.architecture, spec.tag, spec.activation) == ("ViT-B-32", "openai", "gelu")
    assert spec.finetune is not None
    assert not spec.is_downloaded
    assert config.encoders["tagged"].is_downloaded


def test_entry_of_a_finetuned_encoder_reaches_jobs(config):
    values = config.encoders["again"].model_dump(mode="json")
    assert EncoderSpec.model_validate(values) == config.encoders["again"]


def test_encoder_is_a_posterior_unless_its_name_is_declared(config):
    assert config.posteriors["tuned"].kind == "deterministic"
    assert config.posteriors["again"].kind == "mc_dropout"


def test_encoder_with_another_activation_is_a_posterior_of_the_published_protocol(config):
    assert config.posteriors["tagged"].protocols == ["published"]


def test_posterior_of_one_encoder_can_be_attacked(config):
    assert config.posteriors["tuned@pgd"].view == "pgd"
    assert config.posteriors["tuned"].view is None
    assert "ensemble@pgd" not in config.posteriors


def test_images_of_an_attacked_posterior_are_attacked_and_its_texts_are_not(config):
    images, texts = (
        paths.posterior_shards(config, "shapes", "test", config.posteriors["again@pgd"], modality)
        for modality in ("image", "text")
    )
    folder = "results/attacks/shapes/test/tagged/pgd/dropout-0.2x3"
    assert images == [f"{folder}/image-0of2.h5", f"{folder}/image-1of2.h5"]
    folder = "results/embeddings/shapes/test/tagged/dropout-0.2x3"
    assert texts == [f"{folder}/text-0of2.h5", f"{folder}/text-1of2.h5"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (with_finetune(**{"from": "tagd"}), "encoders.tuned.finetune.from: no encoder 'tagd'; did you mean 'tagged'"),
        (with_finetune(**{"from": "again"}), "encoders.tuned.finetune.from: 'tuned' is fine-tuned from itself"),
        (with_finetune(val="train"), "encoders.tuned.finetune.val: 'train' is trained on"),
        (with_finetune(val="dev"), "encoders.tuned.finetune.split: data set 'shapes' has no split 'dev'"),
        (with_finetune(dataset="captions"), "encoders.tuned.finetune.dataset: 'captions' has no classes to train on"),
        (with_finetune(prompt="a photo"), "encoders.tuned.finetune.prompt"),
        (with_finetune(batch_size=9, gpus=2), "encoders.tuned.finetune: batch_size 9 cannot be divided"),
        (with_figure("tagged"), "figures.f.encoders: 'tagged' is not fine-tuned"),
        (with_figure("tunde"), "figures.f.encoders: no fine-tuned encoder 'tunde'; did you mean 'tuned'"),
        (
            VALUES | {"encoders": {"x": VALUES["encoders"]["tuned"] | {"architecture": "ViT-B-32"}}},
            "encoders.x: a fine-tuned encoder has what its base has; remove `architecture`",
        ),
        (VALUES | {"attacks": {}}, "tables.t.posteriors: no posterior 'tuned@pgd'"),
    ],
)
def test_mistake_is_one_line_that_names_the_key(values, message):
    with pytest.raises(OvertopError, match=message.replace(".", r"\.")):
        load_config(values)
