"""Training of linear heads on locked towers, whose features are computed once and shared by all seeds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.device import reproducible
from overtop.encoders.embedding import embed_images, embed_texts
from overtop.encoders.lite import is_lite, load_pretrained_towers
from overtop.encoders.loading import Encoder, assemble_encoder, build_model
from overtop.encoders.prompts import list_texts
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.progress import Progress, no_progress
from overtop.seeds import derive_seed
from overtop.storage.split import Split
from overtop.training.batches import check_train_spec, count_steps, sample_batches
from overtop.training.checkpoint import save_checkpoint
from overtop.training.features import TrunkFeatures
from overtop.training.loss import contrastive_loss
from overtop.training.schedule import learning_rate
from overtop.training.validation import embedding_recall, log_recalls


def compute_trunk_features(
    name: str,
    spec: EncoderSpec,
    split: Split,
    device: str = "cpu",
    *,
    data: str | Path,
    progress: Progress = no_progress,
) -> TrunkFeatures:
    """Run a split through the locked towers of an encoder, without its heads.

    The result depends only on `spec.architecture` and the split.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry, with `train.towers: locked`.
        split: N images and M texts: its captions, or the prompts of its classes.
        device: the device of the towers.
        data: the data folder, which image paths are relative to.
        progress: called after each batch with the items done, and N + M.

    Raises:
        OvertopError: the package of a tower is missing, or an image cannot be read.
    """
    encoder = _remove_heads(assemble_encoder(name, spec, _build_with_towers(name, spec), None, device))
    paths = [Path(data) / path for path in split.image_paths]
    sentences = list_texts(split)
    n_images, total = len(paths), len(paths) + len(sentences)
    images = embed_images(encoder, paths, Sampling(), seed=0, progress=lambda done, _: progress(done, total))
    texts = embed_texts(
        encoder, sentences, Sampling(), seed=0, progress=lambda done, _: progress(n_images + done, total)
    )
    return TrunkFeatures(torch.from_numpy(images.embedding[0]), torch.from_numpy(texts.embedding[0]))


def train_heads(
    name: str,
    spec: EncoderSpec,
    train: Sequence[Split],
    validation: Sequence[Split],
    train_features: Sequence[TrunkFeatures],
    validation_features: Sequence[TrunkFeatures],
    output: str | Path,
    seed: int,
    *,
    progress: Progress = no_progress,
) -> dict[str, float]:
    """Train both linear heads on the features of the towers, and write the whole encoder as safetensors.

    On one machine the same arguments give the same bytes.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry, with `train.towers: locked`.
        train: the training split of each data set.
        validation: the splits on which recall is computed at the end.
        train_features: the towers' features of each split of `train`.
        validation_features: the towers' features of each split of `validation`.
        output: the checkpoint to write.
        seed: seed of the run; `spec.train.seed` makes members of an ensemble differ.
        progress: called after each step with the steps done and the number of all.

    Returns:
        Recall@1 on the validation splits, as `train_encoder`.

    Raises:
        OvertopError: there are fewer images than one batch has, the package of a tower is missing, or no space is left
            on the disk.
    """
    train_spec = check_train_spec(name, spec, train)
    with reproducible(train_spec.threads, derive_seed(seed, "weights", train_spec.seed)):
        model = _build_with_towers(name, spec)
        _fit_heads(model, train_spec, train_features, train, seed, progress)
    model.eval()
    recalls: dict[str, float] = {}
    for split, features in zip(validation, validation_features, strict=True):
        with torch.inference_mode():
            images, texts = model.visual.head(features.image).numpy(), model.text.proj(features.text).numpy()
        recalls |= embedding_recall(images, texts, split)
    save_checkpoint(model, output)
    log_recalls(name, recalls)
    return recalls


def _fit_heads(
    model: Any,
    train_spec: TrainSpec,
    features: Sequence[TrunkFeatures],
    splits: Sequence[Split],
    seed: int,
    progress: Progress,
) -> None:
    """Train the heads of `model` in place; `features` are those of `splits`."""
    images, texts = torch.cat([part.image for part in features]), torch.cat([part.text for part in features])
    image_head, text_head = model.visual.head, model.text.proj
    parameters = [*image_head.parameters(), *text_head.parameters(), model.logit_scale]
    optimizer = torch.optim.AdamW(parameters, lr=train_spec.learning_rate, weight_decay=train_spec.weight_decay)
    image_head.train()
    text_head.train()
    steps = count_steps(train_spec, splits)
    warm_up_steps = round(steps * train_spec.warm_up)
    for step, pairs in enumerate(sample_batches(splits, train_spec, seed)):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps, train_spec.learning_rate, warm_up_steps)
        text_inputs = functional.dropout(texts[pairs.texts], train_spec.text_dropout)
        image_features = functional.normalize(image_head(images[pairs.images]), dim=-1)
        text_features = functional.normalize(text_head(text_inputs), dim=-1)
        scale = model.logit_scale.exp()
        loss = contrastive_loss(image_features, text_features, scale, train_spec.label_smoothing, pairs.groups)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        progress(step + 1, steps)


def _build_with_towers(name: str, spec: EncoderSpec) -> Any:
    """The model of an encoder with pretrained towers and random heads."""
    if not is_lite(spec.architecture):
        raise OvertopError(
            f"encoders.{name}.train.towers is locked, but {spec.architecture} has no installed towers to lock; "
            "use lite0-minilm or another aligned unimodal encoder, or train all weights"
        )
    model = build_model(name, spec, None)
    load_pretrained_towers(model, spec.architecture)
    return model


def _remove_heads(encoder: Encoder) -> Encoder:
    """The encoder with both heads of its model replaced by the identity."""
    model = encoder.model
    model.visual.head, model.text.proj = nn.Identity(), nn.Identity()
    return replace(encoder, widths={"image": model.visual.trunk.num_features, "text": model.text.config.hidden_size})
