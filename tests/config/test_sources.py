import subprocess
import sys
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from overtop.config.sources import FileSource, FolderSource, HubSource, SourceSpec

ADAPTER: TypeAdapter[Any] = TypeAdapter(SourceSpec)
FILE = {"kind": "file", "addresses": ["https://a.org/x.zip"], "file": "x.zip", "licence": "CC BY 4.0"}
HUB = {"kind": "hub", "repo": "owner/name", "licence": "MIT"}


def test_the_kind_decides() -> None:
    assert isinstance(ADAPTER.validate_python(FILE), FileSource)
    assert isinstance(ADAPTER.validate_python({**FILE, "addresses": []}), FileSource)
    assert isinstance(ADAPTER.validate_python(HUB), HubSource)
    assert isinstance(ADAPTER.validate_python({"kind": "folder", "path": "coco"}), FolderSource)


@pytest.mark.parametrize(
    "values",
    [
        {**FILE, "file": "../x.zip"},
        {**FILE, "file": "a/x.zip"},
        {**FILE, "file": ".x"},
        {**FILE, "addresses": ["ftp://a.org/x"]},
        {**FILE, "sha256": "abc"},
        {**FILE, "bytes": -1},
        {**FILE, "mirror": "m"},
        {**HUB, "repo": "name"},
        {**HUB, "repo_type": "space"},
        {key: value for key, value in HUB.items() if key != "licence"},
    ],
)
def test_what_cannot_be_meant(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(values)


def test_reading_the_spec_imports_no_network_client() -> None:
    code = "import sys, overtop.config.sources; print({'requests', 'huggingface_hub', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
