"""Training of all weights of an encoder on captions or prompts of classes, with the contrastive loss of CLIP."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import nn

from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.device import reproducible
from overtop.encoders.decoding import read_image
from overtop.encoders.loading import Encoder, assemble_encoder, build_model, load_encoder
from overtop.encoders.prompts import list_texts
from overtop.errors import OvertopError
from overtop.progress import Progress, no_progress
from overtop.seeds import derive_seed
from overtop.storage.split import Split
from overtop.training.batches import check_train_spec, count_steps, sample_batches
from overtop.training.checkpoint import save_checkpoint
from overtop.training.loss import contrastive_loss
from overtop.training.schedule import learning_rate
from overtop.training.validation import log_recalls, split_recalls

_MAX_LOG_SCALE = math.log(100)
"""CLIP's upper bound on the logarithm of the logit scale."""


def train_encoder(
    name: str,
    spec: EncoderSpec,
    train: Sequence[Split],
    validation: Sequence[Split],
    output: str | Path,
    seed: int,
    device: str = "cpu",
    *,
    data: str | Path,
    progress: Progress = no_progress,
) -> dict[str, float]:
    """Train all weights of an encoder and write them as safetensors.

    Images are decoded once and held in memory. On one machine the same arguments give the same bytes.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry, with `train`.
        train: the training split of each data set; every epoch uses one text of each of their images.
        validation: the splits on which recall is computed at the end.
        output: the checkpoint to write.
        seed: seed of the run; `spec.train.seed` makes members of an ensemble differ.
        device: the device to train on.
        data: the data folder, which image paths are relative to.
        progress: called after each step with the steps done and the number of all.

    Returns:
        Recall@1 on the validation splits: see `split_recalls`.

    Raises:
        OvertopError: there are fewer images than one batch has, an image cannot be read, training diverges, or no
            space is left on the disk.
    """
    train_spec = check_train_spec(name, spec, train)
    with reproducible(train_spec.threads, derive_seed(seed, "weights", train_spec.seed)):
        encoder = assemble_encoder(name, spec, build_model(name, spec, None), None, device)
        images = _read_images(encoder, [Path(data) / path for split in train for path in split.image_paths])
        _fit(encoder, train_spec, images, train, seed, progress)
        save_checkpoint(encoder.model, output)
        recalls = split_recalls(load_encoder(name, spec, output, device), validation, data)
    log_recalls(name, recalls)
    return recalls


def _read_images(encoder: Encoder, paths: Sequence[Path]) -> torch.Tensor:
    """All images, float32 (N, 3, H, W), on the CPU."""
    with ThreadPoolExecutor() as pool:
        return torch.stack(list(pool.map(lambda path: read_image(path, encoder.preprocess), paths)))


def _fit(
    encoder: Encoder,
    train_spec: TrainSpec,
    images: torch.Tensor,
    splits: Sequence[Split],
    seed: int,
    progress: Progress,
) -> None:
    """Train the model of `encoder` in place; `images` are the decoded images of `splits`."""
    tokens = encoder.tokenizer([text for split in splits for text in list_texts(split)])
    model = encoder.model.train()
    optimizers = _make_optimizers(model, train_spec)
    steps = count_steps(train_spec, splits)
    warm_up_steps = round(steps * train_spec.warm_up)
    for step, pairs in enumerate(sample_batches(splits, train_spec, seed)):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps, train_spec.learning_rate, warm_up_steps)
        image_features = model.encode_image(images[pairs.images].to(encoder.device), normalize=True)
        text_features = model.encode_text(tokens[pairs.texts].to(encoder.device), normalize=True)
        scale = model.logit_scale.exp()
        loss = contrastive_loss(image_features, text_features, scale, train_spec.label_smoothing, pairs.groups)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, _MAX_LOG_SCALE)
        progress(step + 1, steps)
    if not math.isfinite(loss.item()):
        raise OvertopError(
            f"encoder {encoder.name!r}: training diverged (loss {loss.item()}); reduce train.learning_rate"
        )
    model.eval()


def _make_optimizers(model: nn.Module, train_spec: TrainSpec) -> list[torch.optim.Optimizer]:
    """AdamW, and its sparse variant for token embeddings.

    A step uses a few hundred of CLIP's 49,408 tokens. A dense update of all of them would take longer than the rest of
    a small model.
    """
    embeddings = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    for module in embeddings:
        module.sparse = True
    sparse = [module.weight for module in embeddings]
    dense = [p for p in model.parameters() if not any(p is weight for weight in sparse)]
    groups = [
        {"params": [p for p in dense if p.ndim >= 2], "weight_decay": train_spec.weight_decay},
        {"params": [p for p in dense if p.ndim < 2], "weight_decay": 0.0},  # biases, norms, the logit scale
    ]
    rate, betas = train_spec.learning_rate, (0.9, 0.98)
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=rate, betas=betas)]
    if sparse:
        optimizers.append(torch.optim.SparseAdam(sparse, lr=rate, betas=betas))
    return optimizers
