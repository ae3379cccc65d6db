"""Speed of adversarial fine-tuning, next to a plain loop of the published kind.

Both do UCAT with two attack steps on the same photographs, in the same order, from the same weights and the same random
starts, in batches of the same size with the same number of threads. The plain loop calls `backward` in the attack,
which also computes the gradients of all weights, runs the whole model, decodes a batch before it is used, and computes
the divergence with torch.distributions in float64. It embeds the prompts once, as the library does; published code
often embeds them in every forward pass, which is measured separately, with few classes. The first step warms up.
"""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from PIL import Image
from torch.distributions import Dirichlet, kl_divergence
from torch.nn import functional

from bench.embedding_speed import write_photographs
from bench.sizes import BenchmarkSizes
from bench.targets import PartResult, check_target
from overtop.config.encoders import EncoderSpec
from overtop.config.finetuning import FinetuneSpec
from overtop.encoders.loading import Encoder, build_model, load_encoder
from overtop.encoders.pixels import split_preprocessing
from overtop.seeds import derive_seed
from overtop.storage.split import Split, split_from_labels
from overtop.training.adversarial import finetune_encoder
from overtop.training.checkpoint import save_checkpoint
from overtop.training.class_images import epoch_batches
from overtop.training.finetune_run import FinetuneRun

STEPS = 4
"""Steps of one epoch. The second and the third are timed; the last is followed by the validation."""
CLASSES = ["airport", "beach", "castle", "desert", "forest", "harbour", "kitchen", "library", "market", "station"]
TEMPLATE = "This is a photo of a {c}"
EPSILON = 1 / 255
MAX_DIFFERENCE = 1e-3
LIBRARY, LOOP, LOOP_WITH_TEXTS = "overtop", "plain loop", "plain loop that embeds the prompts in every pass"


def run(sizes: BenchmarkSizes) -> PartResult:
    """Time all ways, and compare their losses."""
    with TemporaryDirectory() as folder:
        work = _make_run(Path(folder), sizes)
        measured = {LIBRARY: _train_with_library(work)}
        for name in (LOOP, LOOP_WITH_TEXTS):
            measured[name] = _train_with_loop(work, embeds_texts=name == LOOP_WITH_TEXTS)
    rows = [{"way": name, "wall_s": m.wall_s, "cpu_s": m.cpu_s} for name, m in measured.items()]
    table = pd.DataFrame(rows).assign(batch=work.spec.batch_size, architecture=sizes.architecture)
    losses = {name: torch.tensor(m.losses) for name, m in measured.items()}
    difference = ((losses[LIBRARY] - losses[LOOP]).abs() / losses[LOOP]).max().item()
    speedup = measured[LOOP].cpu_s / measured[LIBRARY].cpu_s
    checks = [
        check_target(f"training steps of UCAT, speedup over the {LOOP} in CPU time", speedup, "at least", 1.0),
        check_target(
            f"losses of {STEPS} training steps of the {LOOP} and {LIBRARY}, largest relative difference",
            difference, "at most", MAX_DIFFERENCE,
        ),
    ]  # fmt: skip
    return PartResult({"finetuning": table}, checks)


@dataclass(frozen=True)
class _Measurement:
    """Seconds of one step, and the losses of all steps."""

    wall_s: float
    cpu_s: float
    losses: list[float]


def _make_run(folder: Path, sizes: BenchmarkSizes) -> FinetuneRun:
    paths = [path.name for path in write_photographs(folder, sizes.photographs)]
    classes = [[number % len(CLASSES)] for number in range(len(paths))]
    train = split_from_labels(paths, paths, classes, CLASSES, [TEMPLATE])
    validation = split_from_labels(paths[:1], paths[:1], classes[:1], CLASSES, [TEMPLATE])
    base = EncoderSpec(architecture=sizes.architecture, checkpoint="random")
    torch.manual_seed(0)
    save_checkpoint(build_model("random", base, None), folder / "base.safetensors")
    values = {"from": "random", "dataset": "photographs", "objective": {"kind": "ucat"}, "epochs": 1}
    spec = FinetuneSpec.model_validate(
        values | {"batch_size": sizes.photographs // STEPS, "threads": torch.get_num_threads()}
    )
    files = folder / "base.safetensors", train, validation, folder / "tuned.safetensors", folder / "tuned.csv"
    return FinetuneRun("tuned", spec, base, *files, seed=0, data=folder)


def _train_with_library(work: FinetuneRun) -> _Measurement:
    times: list[tuple[float, float]] = []
    finetune_encoder(work, progress=lambda done, total: times.append((time.perf_counter(), time.process_time())))
    return _measure(times, pd.read_csv(work.log)["loss"].dropna().tolist())


def _measure(times: list[tuple[float, float]], losses: list[float]) -> _Measurement:
    """Seconds per step between the end of the first and the end of the last but one."""
    (first_wall, first_cpu), (last_wall, last_cpu) = times[0], times[STEPS - 2]
    return _Measurement((last_wall - first_wall) / (STEPS - 2), (last_cpu - first_cpu) / (STEPS - 2), losses)


def _train_with_loop(work: FinetuneRun, embeds_texts: bool) -> _Measurement:
    encoder = load_encoder("random", work.base, work.checkpoint)
    model, reference = encoder.model, copy.deepcopy(encoder.model)
    _, normalise = split_preprocessing(encoder)
    tokens = encoder.tokenizer([TEMPLATE.replace("{c}", name) for name in CLASSES])
    fixed = None if embeds_texts else model.encode_text(tokens, normalize=True).detach()
    optimizer = torch.optim.SGD(model.visual.parameters(), lr=work.spec.learning_rate, momentum=work.spec.momentum)

    def cosines(net: Any, pixels: torch.Tensor) -> torch.Tensor:
        texts = model.encode_text(tokens, normalize=True).detach() if fixed is None else fixed
        return net.encode_image(normalise(pixels), normalize=True) @ texts.T

    times, losses = [], []
    scale = model.logit_scale.exp().item()
    for step, (pixels, labels) in enumerate(_batches(encoder, work.train, work)):
        attacked = _random_start(pixels, work, step)
        for _ in range(work.spec.attack.steps):
            attacked.requires_grad_()
            functional.cross_entropy(scale * cosines(model, attacked), labels).backward()
            moved = attacked.detach() + EPSILON * attacked.grad.sign()
            attacked = torch.clamp(torch.min(torch.max(moved, pixels - EPSILON), pixels + EPSILON), 0, 1)
        optimizer.zero_grad()
        scores = cosines(model, attacked)
        with torch.no_grad():
            clean = cosines(reference, pixels)
        loss = functional.cross_entropy(scale * scores, labels) + _weighted_divergence(scores, clean).mean()
        loss.backward()
        optimizer.param_groups[0]["lr"] = work.spec.learning_rate * (1 + math.cos(math.pi * step / STEPS)) / 2
        optimizer.step()
        losses.append(loss.item())
        times.append((time.perf_counter(), time.process_time()))
    return _measure(times, losses)


def _batches(encoder: Encoder, split: Split, work: FinetuneRun) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    to_pixels, _ = split_preprocessing(encoder)
    for rows in epoch_batches(len(split.image_ids), work.spec, work.seed, 0):
        pixels = [to_pixels(Image.open(Path(work.data) / split.image_paths[row])) for row in rows]
        yield torch.stack(pixels), torch.from_numpy(rows % len(CLASSES))


def _random_start(pixels: torch.Tensor, work: FinetuneRun, step: int) -> torch.Tensor:
    """The random start that the library takes in a step."""
    seed = derive_seed(work.seed, "attack", work.spec.seed, step, 0)
    noise = torch.rand(pixels.shape, generator=torch.Generator().manual_seed(seed))
    return (pixels + EPSILON * (2 * noise - 1)).clamp(0, 1)


def _weighted_divergence(attacked: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """The regulariser of UCAT, by its definition."""
    first, second = (Dirichlet(1e-6 + torch.exp((scores.double() + 1) / 0.07)) for scores in (attacked, clean))
    return 1e5 / (1 + math.exp(2 / 0.07)) * kl_divergence(first, second)
