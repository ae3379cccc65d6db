"""Training an encoder on a data set's captions with the contrastive loss of CLIP (Radford et al., 2021, Fig. 3)."""

import logging
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.device import reproducible
from overtop.encoders.embedding import embed_images, embed_texts, read_image
from overtop.encoders.loading import Encoder, build_model, encoder_of, load_encoder
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.seeds import derive_seed
from overtop.storage.files import atomic_path
from overtop.storage.split import Split

_LOG = logging.getLogger(__name__)
_LARGEST_SCALE = math.log(100)  # CLIP's bound on the logit scale


def train_encoder(
    name: str,
    spec: EncoderSpec,
    train: Split,
    validation: Split,
    data_root: str | Path,
    output: str | Path,
    seed: int,
    device: str = "cpu",
) -> dict[str, float]:
    """Train every weight of an encoder and write them as safetensors, which open_clip loads like any other.

    Images are decoded once and kept in memory. On one machine the same arguments give the same bytes.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry, with `train`.
        train, validation: splits of the data set; every step sees one caption of each of its images.
        data_root: the folder that image paths are relative to.
        output: the checkpoint.
        seed: of the run; `spec.train.seed` tells members of an ensemble apart.
        device: where to train.

    Returns:
        Recall@1 on the validation split by direction, and t2i by level of caption where the data set has levels.

    Raises:
        OvertopError: fewer images than one batch, an unreadable image, or no space left.
    """
    recipe = recipe_of(name, spec)
    check_batch(name, recipe, train)
    with reproducible(recipe.threads, derive_seed(seed, "weights", recipe.seed)):
        model = build_model(name, spec, None)
        encoder = encoder_of(name, spec, model, checkpoint=None, device=device)
        images = _read_images(encoder, [Path(data_root) / path for path in train.image_paths])
        _fit(encoder, recipe, images, encoder.tokenizer(train.captions), draws(train, recipe, seed))
        save_model(model, output)
        recalls = recall_at_1(load_encoder(name, spec, output, device), validation, data_root)
    log_recalls(name, recalls)
    return recalls


def recall_at_1(encoder: Encoder, split: Split, data_root: str | Path) -> dict[str, float]:
    """Recall@1 of an encoder on a split whose images are files below `data_root`; see `recall_of`."""
    paths = [Path(data_root) / path for path in split.image_paths]
    images = embed_images(encoder, paths, Sampling(), seed=0).embedding[0]
    return recall_of(images, embed_texts(encoder, split.captions, Sampling(), seed=0).embedding[0], split)


def recall_of(images: np.ndarray, texts: np.ndarray, split: Split) -> dict[str, float]:
    """Recall@1 of labelled pairs by direction, and t2i for every level of caption.

    Args:
        images: embeddings (N, D).
        texts: embeddings (M, D).
        split: what they are of; small enough for one matrix of similarities.
    """
    images = images / np.linalg.norm(images, axis=1, keepdims=True)
    texts = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    similarity = texts @ images.T
    own = split.image_of_caption
    t2i = similarity.argmax(axis=1) == own
    i2t = own[similarity.argmax(axis=0)] == np.arange(len(images))
    levels = np.array(split.levels or [])
    by_level = {f"t2i {level}": float(t2i[levels == level].mean()) for level in dict.fromkeys(split.levels or [])}
    return {"t2i": float(t2i.mean()), "i2t": float(i2t.mean()), **by_level}


def log_recalls(name: str, recalls: dict[str, float]) -> None:
    """Leave the validation recalls in the log."""
    _LOG.info("%s: R@1 on validation: %s", name, ", ".join(f"{key} {value:.3f}" for key, value in recalls.items()))


def contrastive_loss(
    images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, label_smoothing: float = 0.0
) -> torch.Tensor:
    """Mean of both directions' cross-entropy; row i of `images` and of `texts` (B, D), unit length, belong together."""
    logits = scale * images @ texts.T
    labels = torch.arange(len(images), device=images.device)
    i2t = functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    t2i = functional.cross_entropy(logits.T, labels, label_smoothing=label_smoothing)
    return (i2t + t2i) / 2


def learning_rate(step: int, steps: int, recipe: TrainSpec) -> float:
    """Linear warm-up to `recipe.learning_rate`, then half a cosine to zero; `step` counts from 0."""
    warm = round(steps * recipe.warm_up)
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def draw_captions(split: Split, weights: dict[str, float], rng: np.random.Generator) -> np.ndarray:
    """One caption of every image, (N,) indices; captions of a level are drawn in proportion to the level's weight.

    The smallest of exponential variables with rates w falls on caption c with probability w_c / sum of w.
    """
    rate = np.ones(len(split.captions))
    if weights and split.levels:
        rate = np.array([weights.get(level, 0.0) for level in split.levels])
    with np.errstate(divide="ignore"):
        waiting = rng.exponential(size=len(rate)) / rate
    order = np.lexsort((waiting, split.image_of_caption))
    return order[np.unique(split.image_of_caption[order], return_index=True)[1]]


def recipe_of(name: str, spec: EncoderSpec) -> TrainSpec:
    """The encoder's `train` entry; an error if it has none."""
    if spec.train is None:
        raise OvertopError(f"encoders.{name} has no `train`; add it, or give the encoder's weights")
    return spec.train


def check_batch(name: str, recipe: TrainSpec, split: Split) -> None:
    """Refuse a batch that the split cannot fill."""
    if len(split.image_ids) < recipe.batch_size:
        raise OvertopError(
            f"encoders.{name}.train.batch_size is {recipe.batch_size}, but data set {recipe.dataset!r} has only "
            f"{len(split.image_ids)} images to train on; make it smaller"
        )


def save_model(model: Any, output: str | Path) -> None:
    """Write all weights as safetensors, atomically."""
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    with atomic_path(output) as temporary:
        temporary.write_bytes(save(weights))  # `save_file` would make a file that only its owner can read


def draws(split: Split, recipe: TrainSpec, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of (images, captions), each image once an epoch; the incomplete last batch of an epoch is dropped."""
    rng = np.random.default_rng(derive_seed(seed, "batches", recipe.seed))
    for _ in range(recipe.epochs):
        captions = draw_captions(split, recipe.caption_weights, rng)
        order = rng.permutation(len(captions))
        for number in range(len(order) // recipe.batch_size):
            images = order[number * recipe.batch_size : (number + 1) * recipe.batch_size]
            yield images, captions[images]


def _fit(
    encoder: Encoder,
    recipe: TrainSpec,
    images: torch.Tensor,
    tokens: torch.Tensor,
    draws: Iterator[tuple[np.ndarray, np.ndarray]],
) -> None:
    model = encoder.model.train()
    optimizers = _optimizers(model, recipe)
    steps = recipe.epochs * (len(images) // recipe.batch_size)
    with tqdm(total=steps, desc=f"train {encoder.name}", unit="step", disable=None) as bar:
        for step, (rows, captions) in enumerate(draws):
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = learning_rate(step, steps, recipe)
            seen = model.encode_image(images[rows].to(encoder.device), normalize=True)
            read = model.encode_text(tokens[captions].to(encoder.device), normalize=True)
            loss = contrastive_loss(seen, read, model.logit_scale.exp(), recipe.label_smoothing)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, _LARGEST_SCALE)
            bar.set_postfix(loss=f"{loss.item():.2f}")
            bar.update()
    if not math.isfinite(loss.item()):
        raise OvertopError(
            f"encoder {encoder.name!r}: training diverged (loss {loss.item()}); lower train.learning_rate"
        )
    model.eval()


def _optimizers(model: nn.Module, recipe: TrainSpec) -> list[torch.optim.Optimizer]:
    """AdamW, and for token embeddings its sparse kin.

    A step touches a few hundred of CLIP's 49,408 tokens; a dense step over them all would cost more than the rest of
    a small model.
    """
    embeddings = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    for module in embeddings:
        module.sparse = True
    sparse = [module.weight for module in embeddings]
    dense = [p for p in model.parameters() if not any(p is weight for weight in sparse)]
    groups = [
        {"params": [p for p in dense if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in dense if p.ndim < 2], "weight_decay": 0.0},  # biases, norms, the logit scale
    ]
    betas = (0.9, 0.98)
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=betas)]
    if sparse:
        optimizers.append(torch.optim.SparseAdam(sparse, lr=recipe.learning_rate, betas=betas))
    return optimizers


def _read_images(encoder: Encoder, paths: list[Path]) -> torch.Tensor:
    with ThreadPoolExecutor() as pool:
        decoded = pool.map(lambda path: read_image(path, encoder.preprocess), paths)
        return torch.stack(list(tqdm(decoded, total=len(paths), desc="read", unit="image", disable=None)))
