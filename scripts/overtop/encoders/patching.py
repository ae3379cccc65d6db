"""Temporary replacement of a module's attributes."""

from contextlib import ExitStack
from typing import Any

from torch import nn


def patch_attribute(module: nn.Module, attribute: str, value: Any, stack: ExitStack) -> None:
    """Set an attribute (a number, buffer, parameter or method) of a module until `stack` is closed.

    Args:
        module: the module to change.
        attribute: name of the attribute.
        value: the temporary value.
        stack: restores the previous value when it is closed.
    """
    if any(attribute in attributes for attributes in (vars(module), module._parameters, module._buffers)):
        stack.callback(setattr, module, attribute, getattr(module, attribute))
    else:  # the attribute is defined by the class: deleting the instance's restores it
        stack.callback(delattr, module, attribute)
    setattr(module, attribute, value)
