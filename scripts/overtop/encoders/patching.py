"""Attributes of modules, replaced for a while."""

from contextlib import ExitStack
from typing import Any

from torch import nn


def replace(module: nn.Module, attribute: str, value: Any, stack: ExitStack) -> None:
    """Set an attribute (a number, a buffer, a parameter, a method) until `stack` unwinds; then all is as it was."""
    if any(attribute in own for own in (vars(module), module._parameters, module._buffers)):
        stack.callback(setattr, module, attribute, getattr(module, attribute))
    else:  # what the class defines comes back by itself
        stack.callback(delattr, module, attribute)
    setattr(module, attribute, value)
