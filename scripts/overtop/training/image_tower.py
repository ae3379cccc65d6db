"""The part of an image tower that is fine-tuned: all of it, or its last blocks with everything after them."""

from typing import Any

from torch import nn

from overtop.errors import OvertopError

_BLOCK_LISTS = ("blocks", "stages", "layers", "features")
"""Names under which timm's models have their blocks or stages."""


def select_trained(name: str, model: Any, blocks: int | None) -> list[nn.Parameter]:
    """Freeze a model except the trained part of its image tower.

    A block is a transformer block, or a stage of a convolutional tower. After the last block come norms, pooling and
    the projection to the joint space, which are always trained. The text tower and the logit scale are frozen.

    Args:
        name: the encoder's name in config.yaml.
        model: an open_clip model; `requires_grad` of all its parameters is set.
        blocks: the number of last blocks to train; None for the whole image tower.

    Returns:
        The trained parameters, in the order of the model.

    Raises:
        OvertopError: the tower has fewer blocks, or blocks that are not known.
    """
    model.requires_grad_(False)
    if blocks is None:
        model.visual.requires_grad_(True)
    else:
        for part in _last_parts(name, model.visual, blocks):
            part.requires_grad_(True)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _last_parts(name: str, tower: Any, blocks: int) -> list[nn.Module | nn.Parameter]:
    """The last blocks of a tower and what follows them, by the order in which models register their parts."""
    trunk = getattr(tower, "trunk", tower)
    children = dict(trunk.named_children())
    if "transformer" in children:  # open_clip's vision transformer
        block_list, last = list(trunk.transformer.resblocks), "transformer"
    elif "layer4" in children:  # open_clip's ResNet
        block_list, last = [children[f"layer{number}"] for number in range(1, 5)], "layer4"
    else:
        last = next((key for key in _BLOCK_LISTS if key in children), "")
        block_list = list(children.get(last, ()))
    if not 1 <= blocks <= len(block_list):
        possible = f"1 to {len(block_list)}, or all" if block_list else "all: the blocks of this tower are not known"
        raise OvertopError(f"encoders.{name}.finetune.blocks is {blocks}; its image tower allows {possible}")
    keys = list(children)
    parts: list[nn.Module | nn.Parameter] = block_list[-blocks:]
    parts += [children[key] for key in keys[keys.index(last) + 1 :]]
    projections = [getattr(tower, "proj", None), getattr(tower, "head", None) if trunk is not tower else None]
    return [*parts, *(part for part in projections if part is not None)]
