"""Modules that are imported only by the command that needs them."""

from importlib import import_module
from typing import Any


def call(module: str, function: str, *arguments: Any) -> None:
    """Call a function of this package; its module, which may import torch, is imported only now.

    Args:
        module: name of the module in `overtop.cli`.
        function: name of the function.
        arguments: its positional arguments.
    """
    getattr(import_module(f"overtop.cli.{module}"), function)(*arguments)
