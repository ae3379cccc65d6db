"""Training heads on locked towers: every image and caption goes through its tower once, all seeds share the result."""

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.device import reproducible
from overtop.encoders.embedding import Progress, embed_images, embed_texts
from overtop.encoders.lite import is_lite, load_towers
from overtop.encoders.loading import Encoder, build_model, encoder_of
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.seeds import derive_seed
from overtop.storage.files import atomic_path
from overtop.storage.split import Split
from overtop.training.contrastive import (
    check_batch,
    contrastive_loss,
    draws,
    learning_rate,
    log_recalls,
    recall_of,
    recipe_of,
    save_model,
)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrunkFeatures:
    """What the locked towers say of one split.

    Attributes:
        image: (N, Di) float32, the image tower before its head.
        text: (M, Dt) float32, the text tower before its head.
    """

    image: torch.Tensor
    text: torch.Tensor


def compute_trunk_features(
    name: str,
    spec: EncoderSpec,
    split: Split,
    data_root: str | Path,
    output: str | Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> None:
    """Send a split through the locked towers and write what comes out, as safetensors.

    The result depends on `spec.architecture` and the split alone.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry, with `train.towers: locked`.
        split: images and captions.
        data_root: the folder that image paths are relative to.
        output: the file to write.
        device: where the towers run.
        progress: told of every finished batch, of N + M items in all.

    Raises:
        OvertopError: a tower's package is missing, or an image cannot be read.
    """
    encoder = _trunks(encoder_of(name, spec, _with_towers(name, spec), None, device))
    paths = [Path(data_root) / path for path in split.image_paths]
    found = {
        "image": torch.from_numpy(embed_images(encoder, paths, Sampling(), seed=0, progress=progress).embedding[0]),
        "text": torch.from_numpy(
            embed_texts(encoder, split.captions, Sampling(), seed=0, progress=progress).embedding[0]
        ),
    }
    with atomic_path(output) as temporary:
        temporary.write_bytes(save(found, metadata={"items": _items(spec, split)}))


def read_trunk_features(path: str | Path, spec: EncoderSpec, split: Split) -> TrunkFeatures:
    """Read what `compute_trunk_features` wrote.

    Raises:
        OvertopError: the file is damaged, or was made of another split or with other towers.
    """
    try:
        with safe_open(path, framework="pt") as file:
            items, image, text = file.metadata()["items"], file.get_tensor("image"), file.get_tensor("text")
    except (OSError, SafetensorError) as error:
        raise OvertopError(f"{path}: cannot be read ({error}); remove it and compute the features again") from error
    if items != _items(spec, split):
        raise OvertopError(f"{path}: was made of another split or with other towers; remove it and compute it again")
    return TrunkFeatures(image, text)


def train_heads(
    name: str,
    spec: EncoderSpec,
    train: Split,
    validation: Split,
    features: tuple[str | Path, str | Path],
    output: str | Path,
    seed: int,
) -> dict[str, float]:
    """Train both linear heads on the towers' features, and write the whole encoder as safetensors.

    On one machine the same arguments give the same bytes.

    Args:
        name, spec, train, validation, output, seed: as for `train_encoder`.
        features: files of `compute_trunk_features` for `train` and for `validation`.

    Returns:
        Recall@1 on the validation split, as `train_encoder`.

    Raises:
        OvertopError: as `train_encoder`, and if features belong to other images or towers.
    """
    recipe = recipe_of(name, spec)
    check_batch(name, recipe, train)
    learned, held_out = (
        read_trunk_features(path, spec, split) for path, split in zip(features, (train, validation), strict=True)
    )
    with reproducible(recipe.threads, derive_seed(seed, "weights", recipe.seed)):
        model = _with_towers(name, spec)
        _fit_heads(model, name, recipe, learned, train, seed)
    model.eval()
    with torch.inference_mode():
        images, texts = model.visual.head(held_out.image), model.text.proj(held_out.text)
    recalls = recall_of(images.numpy(), texts.numpy(), validation)
    save_model(model, output)
    log_recalls(name, recalls)
    return recalls


def _fit_heads(model: Any, name: str, recipe: TrainSpec, features: TrunkFeatures, split: Split, seed: int) -> None:
    heads = [model.visual.head, model.text.proj]
    parameters = [*heads[0].parameters(), *heads[1].parameters(), model.logit_scale]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    for head in heads:
        head.train()
    steps = recipe.epochs * (len(split.image_ids) // recipe.batch_size)
    with tqdm(total=steps, desc=f"train {name}", unit="step", disable=None) as bar:
        for step, (rows, captions) in enumerate(draws(split, recipe, seed)):
            optimizer.param_groups[0]["lr"] = learning_rate(step, steps, recipe)
            text = functional.dropout(features.text[captions], recipe.text_dropout)
            seen = functional.normalize(model.visual.head(features.image[rows]), dim=-1)
            read = functional.normalize(model.text.proj(text), dim=-1)
            loss = contrastive_loss(seen, read, model.logit_scale.exp(), recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            bar.set_postfix(loss=f"{loss.item():.2f}")
            bar.update()


def _with_towers(name: str, spec: EncoderSpec) -> Any:
    if not is_lite(spec.architecture):
        raise OvertopError(
            f"encoders.{name}.train.towers is locked, but {spec.architecture} has no installed towers to lock; "
            "take lite0-minilm, lite1-minilm or lite2-minilm, or train it whole"
        )
    model = build_model(name, spec, None)
    load_towers(model, spec.architecture)
    return model


def _trunks(encoder: Encoder) -> Encoder:
    """The same encoder without its heads."""
    model = encoder.model
    widths = {"image": model.visual.trunk.num_features, "text": model.text.config.hidden_size}
    model.visual.head, model.text.proj = nn.Identity(), nn.Identity()
    return replace(encoder, widths=widths)


def _items(spec: EncoderSpec, split: Split) -> str:
    """What the features were made of, in short."""
    parts = [spec.architecture, *split.image_ids, *split.caption_ids, *split.captions]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
