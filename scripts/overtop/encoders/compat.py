"""Import open_clip, with torchvision made importable when torch is a CPU-only build.

PyPI's torchvision is linked against CUDA. Under a CPU build of torch its C++ operators are missing, and
`import torchvision` fails when it registers the fake kernels of `nms`. This project uses none of these operators, so
declaring them is enough. Where torchvision imports without help, nothing changes. Every module of the project imports
open_clip from here.
"""

import importlib
import sys

import torch

_MISSING_OPERATOR = "operator torchvision::nms does not exist"
_libraries: list[torch.library.Library] = []  # an operator stays declared as long as its Library object exists


def _import_torchvision() -> None:
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING_OPERATOR not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _libraries.append(library)
        importlib.import_module("torchvision")


_import_torchvision()

import open_clip  # noqa: E402

__all__ = ["open_clip"]
