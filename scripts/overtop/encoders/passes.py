"""All passes of one tower over a batch, in smaller parts if the batch does not fit into memory."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from overtop.device import tensor_float_32
from overtop.encoders import shortcuts
from overtop.encoders.dropout import NO_DROPOUT, attention_dropout
from overtop.encoders.loading import Encoder
from overtop.encoders.masks import DropoutMasks
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.seeds import derive_seed
from overtop.terms import Modality

_AUTOCAST_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_OUT_OF_MEMORY_MESSAGES = ("out of memory", "not enough memory", "can't allocate memory")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ComputeOptions:
    """How a network is run.

    Attributes:
        precision: full float32; float32 with products in TF32 on a GPU; or automatic mixed precision. Embeddings are
            float32 in any case.
        compile: use `torch.compile` on a GPU without dropout. Compiled graphs cannot use our dropout masks, and on a
            CPU the compiled ViT-B/32 was a sixth slower.
        readers: CPU threads that decode images beside a GPU; None for all.
    """

    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    readers: int | None = None


FULL_PRECISION = ComputeOptions()


@contextmanager
def open_tower(
    encoder: Encoder, modality: Modality, sampling: Sampling, seed: int, batch_size: int, options: ComputeOptions
) -> Iterator["TowerPasses"]:
    """Prepare one tower for the passes of `sampling`; see `TowerPasses`. Dropout is disabled again on exit."""
    with ExitStack() as stack:
        dropout = NO_DROPOUT
        stack.enter_context(tensor_float_32(options.precision == "tf32"))
        if not sampling.is_deterministic:
            dropout = stack.enter_context(attention_dropout(encoder.model, sampling.rate))[modality]
        yield TowerPasses(encoder, modality, sampling, seed, batch_size, options, dropout)


class TowerPasses:
    """Runs all passes of one tower over batches, and finds out how many items fit into memory at once.

    Args:
        encoder: the encoder.
        modality: which of its towers.
        sampling: the passes.
        seed: the masks of pass p over batch b have the seed `derive_seed(seed, p, b)`.
        batch_size: items of a full batch.
        options: how the network is run.
        dropout: description of the tower's dropout, `none` without; then the tower runs once for all passes.

    Attributes:
        dropout: as given.
        is_compiled: whether the tower runs as a compiled graph, which is compiled anew for each shape of its input.
    """

    def __init__(
        self,
        encoder: Encoder,
        modality: Modality,
        sampling: Sampling,
        seed: int,
        batch_size: int,
        options: ComputeOptions,
        dropout: str,
    ) -> None:
        self.dropout = dropout
        self.is_compiled = options.compile and dropout == NO_DROPOUT and encoder.device.type == "cuda"
        self._device, self._modality = encoder.device, modality
        self._sampling, self._seed, self._batch_size = sampling, seed, batch_size
        self._precision = options.precision
        self._encode = _encode_function(encoder, modality, self.is_compiled)
        self._part_size = batch_size
        self._must_report_part_size = False

    def embed(self, batch: torch.Tensor, positions: np.ndarray, batch_number: int) -> np.ndarray:
        """All samples of the embeddings of one batch, float32 (S, n, D).

        Args:
            batch: n items, on the CPU.
            positions: (n,) positions of the items in the full batch.
            batch_number: index of the batch; decides the masks.

        Raises:
            OvertopError: not even one item fits into memory, or the tower does not use our dropout masks.
        """
        parts: list[np.ndarray] = []
        start = 0
        while start < len(batch):
            part = slice(start, start + self._part_size)
            samples = self._run_passes_if_memory_suffices(batch[part], positions[part], batch_number)
            if samples is None:
                self._halve_part_size(len(batch[part]))
            else:
                self._report_part_size()
                parts.append(samples)
                start = part.stop
        return np.concatenate(parts, axis=1)

    def _run_passes_if_memory_suffices(
        self, items: torch.Tensor, positions: np.ndarray, batch_number: int
    ) -> np.ndarray | None:
        """`_run_passes`, or None if memory ran out; then the tensors of the failed call have been freed."""
        try:
            return self._run_passes(items, positions, batch_number)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    @torch.inference_mode()
    def _run_passes(self, items: torch.Tensor, positions: np.ndarray, batch_number: int) -> np.ndarray:
        on_device = items.to(self._device, non_blocking=True)
        with self._autocast():
            if self.dropout == NO_DROPOUT:
                embedding = self._encode(on_device).float().cpu().numpy()
                return np.broadcast_to(embedding, (self._sampling.passes, *embedding.shape))
            pass_numbers = range(self._sampling.first, self._sampling.first + self._sampling.passes)
            samples = [self._run_pass(on_device, positions, number, batch_number) for number in pass_numbers]
            return torch.stack(samples).cpu().numpy()

    def _run_pass(
        self, items: torch.Tensor, positions: np.ndarray, pass_number: int, batch_number: int
    ) -> torch.Tensor:
        seed = derive_seed(self._seed, pass_number, batch_number)
        with DropoutMasks(seed, self._batch_size, positions) as masks:
            embedding = self._encode(items).float()
        if not masks.n_drawn:
            raise OvertopError(
                f"MC dropout: the {self._modality} tower ({self.dropout}) does not take its masks from the seeded "
                "stream, so they would not be reproducible; use another encoder"
            )
        return embedding

    def _autocast(self) -> torch.autocast:
        dtype = _AUTOCAST_TYPES.get(self._precision)
        return torch.autocast(self._device.type, dtype, enabled=dtype is not None)

    def _halve_part_size(self, failed_size: int) -> None:
        if failed_size == 1:
            raise OvertopError(
                f"memory: not even one {self._modality} at a time fits on {self._device}; "
                "use a smaller model, or embedding.precision: bf16"
            )
        self._part_size = (failed_size + 1) // 2
        self._must_report_part_size = True

    def _report_part_size(self) -> None:
        """Log the part size once, after it has worked."""
        if self._must_report_part_size:
            _LOG.warning(
                "memory: batches of %d do not fit on %s, parts of %d do; set embedding.batch_size.%s to that",
                self._batch_size, self._device, self._part_size, self._modality,
            )  # fmt: skip
            self._must_report_part_size = False


def _encode_function(encoder: Encoder, modality: Modality, is_compiled: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    model = encoder.model
    if is_compiled:
        return torch.compile(model.encode_image if modality == "image" else model.encode_text)
    shortcut = shortcuts.encode_image if modality == "image" else shortcuts.encode_text
    return lambda batch: shortcut(model, batch)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: a GPU raises an error class of its own, a CPU's allocator only a message."""
    has_message = any(message in str(error) for message in _OUT_OF_MEMORY_MESSAGES)
    return has_message or isinstance(error, torch.cuda.OutOfMemoryError | MemoryError)
