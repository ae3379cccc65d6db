"""How fast are photographs and captions embedded, beside the plain loop that released code runs?

The weights are random, so that nothing is downloaded: a product takes as long whatever its numbers. The loop does for
every pass what such code does: decode, preprocess, tokenise, forward in train mode with the attention's own dropout,
captions padded to the whole context; in batches of the same size. Few passes are timed; with more of them the
difference only grows, since here images are decoded once for all.
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

from bench.bars import Bar, Outcome, bar
from bench.size import Size
from bench.timing import interleaved
from overtop.config.encoders import EncoderSpec
from overtop.encoders.embedding import embed_images, embed_texts
from overtop.encoders.loading import Encoder, build_model, encoder_of
from overtop.encoders.sampling import Sampling

RATE = 0.2
CAPTIONS_EACH = 5
BATCHES = 2
"""So that the second is decoded while the first runs."""
SPEEDUP = 3.0
TOLERANCE = 1e-3
WORDS = ("a", "the", "man", "dog", "street", "red", "of", "on", "two", "people", "with", "table", "train", "standing")
LOOP, OURS, PRODUCTS = "released loop", "ours", "bare products of the image tower"


def run(size: Size) -> Outcome:
    """Time both ways, with and without dropout, and hold their embeddings against each other."""
    with TemporaryDirectory() as folder:
        return _run(size, _photographs(Path(folder), size.photographs))


def _run(size: Size, paths: list[Path]) -> Outcome:
    encoder = _encoder(size.architecture)
    captions = _captions(CAPTIONS_EACH * len(paths))
    samplings = {"deterministic": Sampling(), "dropout": Sampling.dropout(RATE, size.passes)}
    items = {"image": paths, "text": captions}
    calls: dict[tuple[str, str, str], Callable[[], object]] = {
        (way, modality, name): partial(embed, encoder, items[modality], sampling)
        for name, sampling in samplings.items()
        for modality in items
        for way, embed in ((LOOP, _loop), (OURS, _ours))
    }
    calls[PRODUCTS, "image", "deterministic"] = partial(_products, encoder.model, _batch_size(paths))
    times = interleaved({"|".join(key): call for key, call in calls.items()}, size.embedding_repeats)
    times.index = pd.MultiIndex.from_tuples(calls, names=["way", "modality", "sampling"])
    times["items"] = [len(items[modality]) for _, modality, _ in calls]
    times["passes"] = [samplings[name].passes for _, _, name in calls]
    times["items_per_s"] = times["items"] / times["median_s"]
    times["over_products"] = _over_products(times)
    total = times.groupby(["way", "sampling"])["median_s"].sum()
    gain = total[LOOP, "dropout"] / total[OURS, "dropout"]
    name = f"photographs with {CAPTIONS_EACH} captions each, {size.passes} passes of MC dropout, {{}}"
    bars = [
        bar(name.format(f"times as fast as the {LOOP}"), gain, "at least", SPEEDUP),
        _agreement(encoder, items),
    ]
    return Outcome({"embedding": times.reset_index().assign(architecture=size.architecture)}, bars)


def _over_products(times: pd.DataFrame) -> pd.Series:
    """Time of one pass over the images as a multiple of its bare products' time."""
    image = times.index.get_level_values("modality") == "image"
    one = times.loc[(PRODUCTS, "image", "deterministic"), "median_s"]
    return (times["median_s"] / times["passes"] / one).where(image)


def _agreement(encoder: Encoder, items: dict[str, list]) -> Bar:
    """The two ways' embeddings differ by rounding alone."""
    differences = []
    for batch in items.values():
        plain, found = (embed(encoder, batch, Sampling())[0] for embed in (_loop, _ours))
        differences.append(np.abs(plain - found).max() / plain.std())
    return bar(
        "embeddings of the loop, largest difference in standard deviations", max(differences), "at most", TOLERANCE
    )


def _ours(encoder: Encoder, items: list, sampling: Sampling) -> np.ndarray:
    embed = embed_images if isinstance(items[0], Path) else embed_texts
    return embed(encoder, items, sampling, seed=0, batch_size=_batch_size(items)).embedding


def _loop(encoder: Encoder, items: list, sampling: Sampling) -> np.ndarray:
    """The released way."""
    model, size = encoder.model, _batch_size(items)
    if not sampling.is_deterministic:
        _set_dropout(model, sampling.rate)
        model.train()
    found = []
    with torch.no_grad():
        for _ in range(sampling.passes):
            for batch in (items[start : start + size] for start in range(0, len(items), size)):
                if isinstance(batch[0], Path):
                    pixels = torch.stack([encoder.preprocess(Image.open(path)) for path in batch])
                    found.append(model.encode_image(pixels).numpy())
                else:
                    found.append(model.encode_text(encoder.tokenizer(batch)).numpy())
    _set_dropout(model, 0.0)
    model.eval()
    return np.concatenate(found).reshape(sampling.passes, len(items), -1)


def _batch_size(items: list) -> int:
    return -(-len(items) // BATCHES)


def _set_dropout(model: torch.nn.Module, rate: float) -> None:
    for tower in (model.visual.transformer, model.transformer):
        for resblock in tower.resblocks:
            resblock.attn.dropout = rate


@torch.inference_mode()
def _products(model: torch.nn.Module, batch: int) -> None:
    """The matrix products of the image tower's layers and nothing else."""
    tower = model.visual
    tokens, width = tower.positional_embedding.shape
    narrow, wide = torch.ones(batch * tokens, width), torch.ones(batch * tokens, 4 * width)
    for block in tower.transformer.resblocks:
        for _ in range(BATCHES):
            for weight in (block.attn.in_proj_weight, block.attn.out_proj.weight, block.mlp.c_fc.weight):
                functional.linear(narrow, weight)
            functional.linear(wide, block.mlp.c_proj.weight)


def _encoder(architecture: str) -> Encoder:
    torch.manual_seed(0)
    spec = EncoderSpec(architecture=architecture, checkpoint="random")
    return encoder_of("random", spec, build_model("random", spec, None), None, "cpu")


def _photographs(folder: Path, number: int) -> list[Path]:
    """JPEGs of 640 x 480 with the detail, and so the bytes (about 150 kB), of COCO's photographs."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{n}.jpg" for n in range(number)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((640, 480), Image.BICUBIC)
        detail = rng.normal(0, 17, (480, 640, 3))
        Image.fromarray(np.clip(np.asarray(coarse) + detail, 0, 255).astype(np.uint8)).save(path, quality=88)
    return paths


def _captions(number: int) -> list[str]:
    """As long as COCO's: eight words at least, ten and a half on average, and a full stop."""
    rng = np.random.default_rng(1)
    return [f"{' '.join(rng.choice(WORDS, 8 + length))}." for length in rng.poisson(2.5, number)]
