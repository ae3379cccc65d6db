"""The one door to open_clip: makes torchvision importable beside a CPU-only torch, then imports open_clip.

PyPI's torchvision is linked against CUDA. Beside a CPU build of torch its C++ operators are absent, and
`import torchvision` fails while registering the fake kernels of `nms`. Nothing here uses those operators, so it is
enough to declare them. Where torchvision imports by itself nothing is changed.
"""

import importlib
import sys

import torch

_MISSING_OPERATOR = "operator torchvision::nms does not exist"
_libraries: list[torch.library.Library] = []  # a declaration lives as long as its Library object


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
