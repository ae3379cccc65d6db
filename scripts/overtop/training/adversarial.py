"""Adversarial fine-tuning of the image tower of an encoder on a data set of classes; its text tower is frozen."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from overtop.config.finetuning import FinetuneSpec
from overtop.device import reproducible
from overtop.encoders.decoding import decode_batches
from overtop.encoders.embedding import embed_classes
from overtop.encoders.loading import load_encoder
from overtop.encoders.pixels import split_preprocessing
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.means import harmonic_mean
from overtop.progress import Progress, no_progress
from overtop.seeds import derive_seed
from overtop.storage.split import Split
from overtop.storage.tables import write_table
from overtop.training.adversarial_step import AttackedObjective
from overtop.training.checkpoint import save_checkpoint
from overtop.training.class_images import epoch_batches, parts
from overtop.training.finetune_run import FinetuneRun
from overtop.training.image_tower import select_trained
from overtop.training.objectives import build_objective
from overtop.training.processes import Process, run_processes
from overtop.training.progress_state import (
    TrainingState,
    copy_weights,
    read_state,
    set_weights,
    state_path,
    write_state,
)
from overtop.training.schedule import learning_rate
from overtop.training.term_balance import TermBalance

_LOG = logging.getLogger(__name__)

FIRST_STEPS = 10
"""Steps whose mean terms are logged, to judge the weights of an objective."""

LOG_COLUMNS = ("step", "epoch", "learning_rate", "loss", "val_clean", "val_robust", "val_score")
"""Columns of the training log that are not terms of the objective."""


def finetune_encoder(
    run: FinetuneRun, device: str = "cpu", *, processes: int = 1, progress: Progress = no_progress
) -> None:
    """Fine-tune an encoder; write the whole model as safetensors, and the training log.

    Each step attacks a batch of images and descends on the objective. After each epoch the accuracy on the validation
    split is measured, clean and under the attack of the training. The epoch with the largest harmonic mean of the two
    is written, of equal ones the earlier. So labels select the epoch of an objective that does not train on them.

    Every `spec.checkpoint_steps` steps the state is written next to the output. A run that finds the state of the same
    configuration continues from it, and ends with the same bytes, on one machine. BatchNorm keeps its statistics.
    Several processes compute one batch together, with the results of one process up to rounding.

    The log has one row per step: `step` (from 1; 0: before training), `epoch`, `learning_rate`, `loss`, a column per
    term, and in the last row of an epoch `val_clean`, `val_robust` and their harmonic mean `val_score`.

    Args:
        run: the run.
        device: the device to train on; with several processes `cuda` is one GPU for each.
        processes: number of processes.
        progress: called after each step with the steps done and the number of all.

    Raises:
        OvertopError: the data set does not fit, an image cannot be read, training diverges, or no space is left.
    """
    run_processes(processes, device, _finetune, run, progress=progress)


def _finetune(process: Process, run: FinetuneRun, *, progress: Progress) -> None:
    """The work of one process."""
    with reproducible(run.spec.threads, derive_seed(run.seed, "fine-tuning", run.spec.seed)):
        trainer = _Trainer(process, run)
        trainer.train(progress)
        if process.rank == 0:
            trainer.write_results()


class _Trainer:
    """Trains an encoder in one of several processes, which all hold the same weights."""

    def __init__(self, process: Process, run: FinetuneRun) -> None:
        name, spec = run.name, run.spec
        self._process, self._run, self._spec = process, run, spec
        self._labels, self._val_labels = run.labels()
        self._encoder = load_encoder(spec.base, run.base, run.checkpoint, process.device, data=run.data)
        self._trained = select_trained(name, self._encoder.model, spec.blocks)
        self._pixels, normalise = split_preprocessing(self._encoder, spec.resize)
        templates = run.train.templates if spec.prompt is None else [spec.prompt]
        classes = embed_classes(self._encoder, run.train.captions, templates or [], Sampling(), seed=0)
        texts = torch.from_numpy(classes.embedding[0]).to(self._encoder.device)
        self._objective = AttackedObjective(self._encoder, normalise, build_objective(spec.objective), texts, spec)
        self._optimizer = _make_optimizer(self._trained, spec)
        self._batches = len(self._labels) // spec.batch_size
        self._digest = run.digest(self._encoder, process)
        self._state = self._resume()
        self._terms = process.wrap(self._objective)

    def train(self, progress: Progress) -> None:
        """Do all steps that have not been done."""
        state, steps = self._state, self._batches * self._spec.epochs
        if not state.rows:
            state.rows.append({"step": 0, "epoch": 0, "learning_rate": 0.0, **self._validate()})
        while state.step < steps:
            epoch, first = divmod(state.step, self._batches)
            batches = epoch_batches(len(self._labels), self._spec, self._run.seed, epoch)[first:]
            for rows, pixels in zip(batches, self._decode(self._run.train, batches), strict=True):
                row = self._train_step(pixels, self._labels[rows], steps)
                if state.step % self._batches == 0:
                    row |= self._validate()
                    self._keep_if_best(epoch + 1, row)
                state.rows.append(row)
                if state.step == min(FIRST_STEPS, steps):
                    self._report_balance()
                if state.step % self._spec.checkpoint_steps == 0 and state.step < steps:
                    self._write_state()
                progress(state.step, steps)

    def write_results(self) -> None:
        """Write the weights of the best epoch and the log, and remove the state."""
        run, state = self._run, self._state
        set_weights(self._trained, state.best_weights)
        facts = {
            "preprocessing": dict(self._encoder.model.visual.preprocess_cfg),
            "finetune": self._spec.model_dump(mode="json", by_alias=True),
            "base": self._encoder.provenance,
            "seed": run.seed,
            "epoch": state.best_epoch,
        }
        terms = [key for key in state.rows[1] if key not in LOG_COLUMNS]
        columns = [*LOG_COLUMNS[:4], *terms, *LOG_COLUMNS[4:]]
        write_table(run.log, pd.DataFrame(state.rows, columns=columns))
        save_checkpoint(self._encoder.model, run.output, facts)
        state_path(run.output).unlink(missing_ok=True)
        best = state.rows[state.best_epoch * self._batches]
        _LOG.info(
            "%s: epoch %d of %d is the best; validation accuracy %.3f clean, %.3f under the attack of the training",
            run.name, state.best_epoch, self._spec.epochs, best["val_clean"], best["val_robust"],
        )  # fmt: skip

    def _train_step(self, pixels: torch.Tensor, labels: np.ndarray, steps: int) -> dict[str, float]:
        """One step on this process's part of a batch; returns the row of the log."""
        state, own = self._state, self._process.own_rows(len(labels))
        rate = learning_rate(state.step, steps, self._spec.learning_rate, self._spec.warm_up_steps)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad()
        sums: dict[str, torch.Tensor] = {}
        own_labels = torch.from_numpy(labels[own])
        slices = list(parts(len(own_labels), self._spec.accumulate))
        for number, part in enumerate(slices):
            clean, classes = pixels[part].to(self._encoder.device), own_labels[part].to(self._encoder.device)
            inputs = self._objective.prepare(clean, classes)
            seed = derive_seed(self._run.seed, "attack", self._spec.seed, state.step, own.start + part.start)
            attacked = self._objective.attack(clean, inputs, seed)
            weight = len(clean) / len(own_labels)
            with self._process.synchronised(self._terms, number == len(slices) - 1):
                terms = self._terms(clean, attacked, inputs)
                (weight * torch.stack(list(terms.values())).sum()).backward()
            for name, term in terms.items():
                sums[name] = sums.get(name, 0) + weight * term.detach()
        self._optimizer.step()
        state.step += 1
        means = self._process.sum(torch.stack(list(sums.values()))) / self._process.count
        row = {"step": state.step, "epoch": (state.step - 1) // self._batches + 1, "learning_rate": rate}
        return row | self._check_finite(dict(zip(sums, means.tolist(), strict=True)))

    def _check_finite(self, terms: dict[str, float]) -> dict[str, float]:
        """The terms of a step with their sum, the loss."""
        for name, value in terms.items():
            if not math.isfinite(value):
                raise self._divergence(f"{name} is {value}")
        return {"loss": sum(terms.values()), **terms}

    def _divergence(self, sign: str) -> OvertopError:
        return OvertopError(
            f"encoders.{self._run.name}.finetune: training diverged, {sign} in step {self._state.step}; "
            "reduce learning_rate, or the weight of the objective"
        )

    def _validate(self) -> dict[str, float]:
        """Accuracy on the validation split, clean and under the attack of the training."""
        size = self._spec.batch_size
        rows = np.arange(len(self._val_labels))
        batches = [rows[start : start + size] for start in range(0, len(rows), size)]
        correct = torch.zeros(2, dtype=torch.float64, device=self._encoder.device)
        for batch, pixels in zip(batches, self._decode(self._run.validation, batches), strict=True):
            own = self._process.own_rows(len(batch))
            labels = torch.from_numpy(self._val_labels[batch[own]])
            for part in parts(len(labels), self._spec.accumulate):
                clean, classes = pixels[part].to(self._encoder.device), labels[part].to(self._encoder.device)
                seed = derive_seed(self._run.seed, "validation", self._spec.seed, batch[own][part.start])
                attacked = self._objective.attack(clean, self._objective.prepare(clean, classes), seed)
                correct[0] += self._objective.count_correct(clean, classes)
                correct[1] += self._objective.count_correct(attacked, classes)
        clean, robust = (self._process.sum(correct) / len(rows)).tolist()
        if not math.isfinite(clean + robust):
            raise self._divergence("embeddings are not finite")
        return {"val_clean": clean, "val_robust": robust, "val_score": float(harmonic_mean(clean, robust))}

    def _keep_if_best(self, epoch: int, row: dict[str, float]) -> None:
        """Keep the weights if their score exceeds that of all earlier epochs."""
        if row["val_score"] > self._state.best_score:
            self._state.best_score, self._state.best_epoch = row["val_score"], epoch
            self._state.best_weights = copy_weights(self._trained)

    def _decode(self, split: Split, batches: Sequence[np.ndarray]) -> Iterator[torch.Tensor]:
        """Pixels of this process's part of each batch, on the CPU."""
        own = [batch[self._process.own_rows(len(batch))] for batch in batches]
        paths = [[Path(self._run.data) / split.image_paths[row] for row in rows] for rows in own]
        encoder = replace(self._encoder, preprocess=self._pixels)
        return (pixels for pixels, _ in decode_batches(encoder, paths, "fail"))

    def _resume(self) -> TrainingState:
        """The state to continue from, with the weights and the optimizer set to it."""
        state = read_state(state_path(self._run.output), self._digest)
        if state is None:
            return TrainingState()
        _LOG.info("%s: continues after step %d", self._run.name, state.step)
        set_weights(self._trained, state.weights)
        self._optimizer.load_state_dict(state.optimizer)
        return state

    def _write_state(self) -> None:
        if self._process.rank == 0:
            state = replace(self._state, weights=copy_weights(self._trained), optimizer=self._optimizer.state_dict())
            write_state(state_path(self._run.output), state, self._digest)

    def _report_balance(self) -> None:
        """Log the mean terms of the first steps, and warn of regularisers that outweigh the data."""
        rows = self._state.rows[1:]
        balance = TermBalance(len(rows))
        names = [key for key in rows[0] if key not in LOG_COLUMNS]
        for row in rows:
            balance.add({name: torch.tensor(row[name]) for name in names})
        means = ", ".join(f"{name} {value:.4g}" for name, value in balance.means().items())
        _LOG.info("%s: mean terms of the first %d steps: %s", self._run.name, len(rows), means)
        for warning in balance.warnings():
            _LOG.warning("%s: %s", self._run.name, warning)


def _make_optimizer(trained: Sequence[nn.Parameter], spec: FinetuneSpec) -> torch.optim.Optimizer:
    if spec.optimizer == "adamw":
        return torch.optim.AdamW(trained, lr=spec.learning_rate, weight_decay=spec.weight_decay)
    return torch.optim.SGD(trained, lr=spec.learning_rate, momentum=spec.momentum, weight_decay=spec.weight_decay)
