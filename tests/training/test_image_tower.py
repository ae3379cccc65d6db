import pytest
import torch

from overtop.encoders.catalogue import OWN_MODELS
from overtop.encoders.compat import open_clip
from overtop.errors import OvertopError
from overtop.training.image_tower import select_trained

assert OWN_MODELS.is_dir()  # registers shapes-vit


class _Model(torch.nn.Module):
    """An image tower with the rest of a model: a parameter of the text tower, and the logit scale."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        config = open_clip.get_model_config(architecture)
        vision = open_clip.CLIPVisionCfg(**{**config["vision_cfg"], "timm_model_pretrained": False})
        with torch.device("meta"):
            self.visual = open_clip.model._build_vision_tower(config["embed_dim"], vision)
        self.text, self.logit_scale = torch.nn.Linear(2, 2), torch.nn.Parameter(torch.zeros(()))


def _trained_names(model: torch.nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("architecture", ["shapes-vit", "RN50", "ViT-B-16-SigLIP", "convnext_base"])
def test_whole_image_tower_is_trained_and_nothing_else(architecture):
    model = _Model(architecture)
    trained = select_trained("a", model, None)
    assert _trained_names(model) == {f"visual.{name}" for name, _ in model.visual.named_parameters()}
    assert [id(p) for p in trained] == [id(p) for p in model.visual.parameters()]


@pytest.mark.parametrize(
    ("architecture", "blocks", "prefixes"),
    [
        ("shapes-vit", 1, ["transformer.resblocks.2.", "ln_post.", "proj"]),
        ("shapes-vit", 2, ["transformer.resblocks.1.", "transformer.resblocks.2.", "ln_post.", "proj"]),
        ("coca_ViT-B-32", 1, ["transformer.resblocks.11.", "attn_pool.", "ln_post.", "proj"]),
        ("RN50", 2, ["layer3.", "layer4.", "attnpool."]),
        ("ViT-B-16-SigLIP", 1, ["trunk.blocks.11.", "trunk.norm.", "trunk.attn_pool."]),
        ("convnext_base", 1, ["trunk.stages.3.", "trunk.head.", "head."]),
        ("lite0-minilm", 2, ["trunk.blocks.5.", "trunk.blocks.6.", "trunk.conv_head.", "trunk.bn2.", "head."]),
    ],
)
def test_last_blocks_and_what_follows_them_are_trained(architecture, blocks, prefixes):
    model = _Model(architecture)
    select_trained("a", model, blocks)
    names = [name for name, _ in model.visual.named_parameters()]
    assert _trained_names(model) == {f"visual.{name}" for name in names if name.startswith(tuple(prefixes))}
    assert all(any(name.startswith(prefix) for name in names) for prefix in prefixes)


def test_all_blocks_leave_only_the_stem_frozen():
    model = _Model("shapes-vit")
    select_trained("a", model, 3)
    frozen = {name for name, p in model.visual.named_parameters() if not p.requires_grad}
    assert {name.partition(".")[0] for name in frozen} == {
        "class_embedding", "positional_embedding", "conv1", "ln_pre"
    }  # fmt: skip


@pytest.mark.parametrize("blocks", [4, 12])
def test_more_blocks_than_the_tower_has_are_rejected(blocks):
    with pytest.raises(OvertopError, match=rf"encoders\.a\.finetune\.blocks is {blocks}; .* allows 1 to 3, or all"):
        select_trained("a", _Model("shapes-vit"), blocks)


def test_tower_of_unknown_blocks_can_only_be_trained_as_a_whole():
    model = torch.nn.Module()
    model.visual = torch.nn.Linear(2, 2)
    with pytest.raises(OvertopError, match="allows all: the blocks of this tower are not known"):
        select_trained("a", model, 1)
    assert len(select_trained("a", model, None)) == 2
