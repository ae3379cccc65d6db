"""Speed of embedding photographs and captions, next to the plain loop of released code.

For every pass, the plain loop decodes, preprocesses and tokenises again, and runs the model in train mode with the
attention's own dropout and captions padded to the full context, in batches of the same size. The weights are random,
since the time does not depend on their values. Only a few passes are timed; more passes would increase the difference,
because the library decodes each image once for all of them.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.nn import functional

from bench.sizes import BenchmarkSizes
from bench.targets import PartResult, TargetCheck, check_target
from bench.timing import time_interleaved
from overtop.config.encoders import EncoderSpec
from overtop.encoders.embedding import embed_images, embed_texts
from overtop.encoders.loading import Encoder, assemble_encoder, build_model
from overtop.encoders.sampling import Sampling

DROPOUT_RATE = 0.2
CAPTIONS_PER_IMAGE = 5
BATCHES = 2
"""Batches per pass, so that the second is decoded while the first is embedded."""
MIN_SPEEDUP = 3.0
MAX_DIFFERENCE = 1e-3
WORDS = ("a", "the", "man", "dog", "street", "red", "of", "on", "two", "people", "with", "table", "train", "standing")
LOOP, LIBRARY, PRODUCTS = "released loop", "overtop", "bare products of the image tower"


def run(sizes: BenchmarkSizes) -> PartResult:
    """Time both implementations with and without dropout, and compare their embeddings."""
    with TemporaryDirectory() as folder:
        items = {"image": write_photographs(Path(folder), sizes.photographs)}
        items["text"] = _make_captions(CAPTIONS_PER_IMAGE * sizes.photographs)
        encoder = _random_encoder(sizes.architecture)
        samplings = {"deterministic": Sampling(), "dropout": Sampling.dropout(DROPOUT_RATE, sizes.passes)}
        times = _measure(encoder, items, samplings, sizes.embedding_repeats)
        total_s = times.groupby(["way", "sampling"])["median_s"].sum()
        speedup = total_s[LOOP, "dropout"] / total_s[LIBRARY, "dropout"]
        name = (
            f"photographs with {CAPTIONS_PER_IMAGE} captions each, {sizes.passes} passes of MC dropout, "
            f"speedup over the {LOOP}"
        )
        checks = [check_target(name, speedup, "at least", MIN_SPEEDUP), _check_difference(encoder, items)]
    return PartResult({"embedding": times.reset_index().assign(architecture=sizes.architecture)}, checks)


def _measure(encoder: Encoder, items: dict[str, list], samplings: dict[str, Sampling], repeats: int) -> pd.DataFrame:
    """Return the times of both implementations by modality and sampling, and of the matrix products alone."""
    calls: dict[tuple[str, str, str], Callable[[], object]] = {
        (implementation, modality, name): partial(embed, encoder, items[modality], sampling)
        for name, sampling in samplings.items()
        for modality in items
        for implementation, embed in ((LOOP, _embed_with_loop), (LIBRARY, _embed_with_library))
    }
    products = PRODUCTS, "image", "deterministic"
    calls[products] = partial(_multiply_weights, encoder.model, _batch_size(items["image"]))
    times = time_interleaved({"|".join(key): call for key, call in calls.items()}, repeats)
    times.index = pd.MultiIndex.from_tuples(calls, names=["way", "modality", "sampling"])
    times["items"] = [len(items[modality]) for _, modality, _ in calls]
    times["passes"] = [samplings[name].passes for _, _, name in calls]
    times["items_per_s"] = times["items"] / times["median_s"]
    is_image = times.index.get_level_values("modality") == "image"
    one_pass_s = times["median_s"] / times["passes"]
    times["over_products"] = (one_pass_s / times.loc[products, "median_s"]).where(is_image)
    return times


def _check_difference(encoder: Encoder, items: dict[str, list]) -> TargetCheck:
    """Check that the two implementations differ by rounding only."""
    differences = []
    for batch in items.values():
        expected, actual = (embed(encoder, batch, Sampling())[0] for embed in (_embed_with_loop, _embed_with_library))
        differences.append(np.abs(expected - actual).max() / expected.std())
    name = f"embeddings of the {LOOP} and {LIBRARY}, largest difference in standard deviations"
    return check_target(name, max(differences), "at most", MAX_DIFFERENCE)


def _embed_with_library(encoder: Encoder, items: list, sampling: Sampling) -> np.ndarray:
    embed = embed_images if isinstance(items[0], Path) else embed_texts
    return embed(encoder, items, sampling, seed=0, batch_size=_batch_size(items)).embedding


def _embed_with_loop(encoder: Encoder, items: list, sampling: Sampling) -> np.ndarray:
    """Embed as released code does: all work again for every pass."""
    model, size = encoder.model, _batch_size(items)
    if not sampling.is_deterministic:
        _set_attention_dropout(model, sampling.rate)
        model.train()
    batches = []
    with torch.no_grad():
        for _ in range(sampling.passes):
            for batch in (items[start : start + size] for start in range(0, len(items), size)):
                if isinstance(batch[0], Path):
                    pixels = torch.stack([encoder.preprocess(Image.open(path)) for path in batch])
                    batches.append(model.encode_image(pixels).numpy())
                else:
                    batches.append(model.encode_text(encoder.tokenizer(batch)).numpy())
    _set_attention_dropout(model, 0.0)
    model.eval()
    return np.concatenate(batches).reshape(sampling.passes, len(items), -1)


def _batch_size(items: list) -> int:
    return -(-len(items) // BATCHES)


def _set_attention_dropout(model: torch.nn.Module, rate: float) -> None:
    for tower in (model.visual.transformer, model.transformer):
        for resblock in tower.resblocks:
            resblock.attn.dropout = rate


@torch.inference_mode()
def _multiply_weights(model: torch.nn.Module, batch: int) -> None:
    """Compute the matrix products of the image tower's layers for all batches, and nothing else."""
    tower = model.visual
    tokens, width = tower.positional_embedding.shape
    narrow, wide = torch.ones(batch * tokens, width), torch.ones(batch * tokens, 4 * width)
    for block in tower.transformer.resblocks:
        for _ in range(BATCHES):
            for weight in (block.attn.in_proj_weight, block.attn.out_proj.weight, block.mlp.c_fc.weight):
                functional.linear(narrow, weight)
            functional.linear(wide, block.mlp.c_proj.weight)


def _random_encoder(architecture: str) -> Encoder:
    """Return an encoder with seeded random weights, so that nothing is downloaded."""
    torch.manual_seed(0)
    spec = EncoderSpec(architecture=architecture, checkpoint="random")
    return assemble_encoder("random", spec, build_model("random", spec, None), None, "cpu")


def write_photographs(folder: Path, count: int) -> list[Path]:
    """Write JPEG images of 640 x 480 pixels with about as much detail and as many bytes (150 kB) as COCO's."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{n}.jpg" for n in range(count)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((640, 480), Image.BICUBIC)
        detail = rng.normal(0, 17, (480, 640, 3))
        Image.fromarray(np.clip(np.asarray(coarse) + detail, 0, 255).astype(np.uint8)).save(path, quality=88)
    return paths


def _make_captions(count: int) -> list[str]:
    """Return captions as long as COCO's: at least 8 words and 10.5 on average."""
    rng = np.random.default_rng(1)
    return [f"{' '.join(rng.choice(WORDS, 8 + length))}." for length in rng.poisson(2.5, count)]
