"""Training in several processes of one node, one per GPU, with torch.distributed."""

import logging
import logging.handlers
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from overtop.errors import OvertopError
from overtop.progress import Progress

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Process:
    """One of `count` processes that train together.

    Attributes:
        rank: its number; process 0 reports progress and writes files.
        count: the number of processes.
        device: its device.
    """

    rank: int
    count: int
    device: str

    def own_rows(self, rows: int) -> slice:
        """The part of a batch of `rows` items that this process computes; the last ones may have fewer, or none."""
        size = -(-rows // self.count)
        return slice(min(rows, self.rank * size), min(rows, (self.rank + 1) * size))

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Values summed over all processes."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def wrap(self, module: nn.Module) -> nn.Module:
        """A module whose parameter gradients are averaged over all processes."""
        if self.count == 1:
            return module
        return DistributedDataParallel(module)

    @contextmanager
    def synchronised(self, module: nn.Module, is_last: bool) -> Iterator[None]:
        """Average the gradients of a wrapped module only after the last of several parts of a batch."""
        if is_last or not isinstance(module, DistributedDataParallel):
            yield
        else:
            with module.no_sync():
                yield


def process_count(gpus: int) -> int:
    """The number of processes of a job that wants `gpus` GPUs: as many if torch finds them, else one."""
    visible = torch.cuda.device_count()
    if gpus > 1 and visible < gpus:
        _LOG.warning("%d GPUs are configured, but %d are visible; training in one process", gpus, visible)
    return gpus if visible >= gpus else 1


def run_processes(count: int, device: str, work: Callable[..., None], *arguments: Any, progress: Progress) -> None:
    """Call `work(process, *arguments, progress=...)` in `count` new processes, or in this one if `count` is 1.

    Progress and log lines of process 0 are reported here. If one process fails, the others are ended.

    Args:
        count: number of processes.
        device: `cuda`, then process r uses GPU r, or `cpu`.
        work: a function of a module, which new processes import.
        arguments: its arguments, which are pickled.
        progress: called here.

    Raises:
        OvertopError: a process raised it.
    """
    if count == 1:
        work(Process(0, 1, device), *arguments, progress=progress)
        return
    messages = multiprocessing.get_context("spawn").SimpleQueue()
    with TemporaryDirectory() as folder:
        address = f"file://{Path(folder) / 'processes'}"
        context = multiprocessing.spawn(
            _run_process, (count, device, address, messages, work, arguments), nprocs=count, join=False
        )
        try:
            while not context.join(_POLL_SECONDS):
                _deliver(messages, progress)
        except multiprocessing.ProcessRaisedException:
            _deliver(messages, progress)  # raises the error of the process, if it was an OvertopError
            raise
        finally:
            for process in context.processes:
                process.kill()
        _deliver(messages, progress)


def _deliver(messages: Any, progress: Progress) -> None:
    """Report what the processes sent: progress, log records and errors."""
    while not messages.empty():
        message = messages.get()
        if isinstance(message, logging.LogRecord):
            logging.getLogger(message.name).handle(message)
        elif isinstance(message, OvertopError):
            raise message
        else:
            progress(*message)


def _run_process(
    rank: int, count: int, device: str, address: str, messages: Any, work: Callable[..., None], arguments: tuple
) -> None:
    own_device = f"cuda:{rank}" if device == "cuda" else device
    handler = _QueueHandler(messages) if rank == 0 else logging.NullHandler()
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)

    def report(done: int, total: int) -> None:
        if rank == 0:
            messages.put((done, total))

    try:
        with _process_group(rank, count, own_device, address):
            work(Process(rank, count, own_device), *arguments, progress=report)
    except OvertopError as error:
        messages.put(error)
        raise


class _QueueHandler(logging.handlers.QueueHandler):
    """Sends log records to the process that started this one."""

    def __init__(self, messages: Any) -> None:
        super().__init__(messages)
        self._messages = messages

    def enqueue(self, record: logging.LogRecord) -> None:
        self._messages.put(record)


@contextmanager
def _process_group(rank: int, count: int, device: str, address: str) -> Iterator[None]:
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    backend = "nccl" if device.startswith("cuda") else "gloo"
    distributed.init_process_group(backend, init_method=address, rank=rank, world_size=count)
    try:
        yield
    finally:
        distributed.destroy_process_group()
