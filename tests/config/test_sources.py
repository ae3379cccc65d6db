import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from overtop.config.sources import FileSource, FolderSource, HubSource, SourceSpec

ADAPTER: TypeAdapter[Any] = TypeAdapter(SourceSpec)
FILE = {"kind": "file", "addresses": ["https://a.org/x.zip"], "file": "x.zip", "licence": "CC BY 4.0"}
HUB = {"kind": "hub", "repo": "owner/name", "licence": "MIT"}


@pytest.mark.parametrize(
    ("values", "spec"),
    [
        (FILE, FileSource),
        ({**FILE, "addresses": []}, FileSource),
        (HUB, HubSource),
        ({"kind": "folder", "path": "coco"}, FolderSource),
    ],
)
def test_source_has_the_spec_of_its_kind(values: dict[str, Any], spec: type) -> None:
    assert isinstance(ADAPTER.validate_python(values), spec)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({**FILE, "file": "../x.zip"}, "file"),
        ({**FILE, "file": "a/x.zip"}, "file"),
        ({**FILE, "file": ".x"}, "file"),
        ({**FILE, "addresses": ["ftp://a.org/x"]}, "addresses"),
        ({**FILE, "addresses": ["https://me:secret@a.org/x"]}, "addresses"),
        ({**FILE, "addresses": ["https://token@a.org/x"]}, "addresses"),
        ({**FILE, "addresses": ["http://["]}, "addresses"),
        ({**FILE, "addresses": ["https:///x"]}, "addresses"),
        ({**FILE, "sha256": "abc"}, "sha256"),
        ({**FILE, "bytes": -1}, "bytes"),
        ({**FILE, "mirror": "m"}, "mirror"),
        ({**HUB, "repo": "name"}, "repo"),
        ({**HUB, "repo_type": "space"}, "repo_type"),
        ({key: value for key, value in HUB.items() if key != "licence"}, "licence"),
    ],
)
def test_source_with_invalid_value_is_rejected(values: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError) as error:
        ADAPTER.validate_python(values)
    assert [entry["loc"][1] for entry in error.value.errors()] == [key]


def test_source_specs_are_imported_without_network_clients_or_torch() -> None:
    code = "import sys, overtop.config.sources; print({'requests', 'huggingface_hub', 'torch'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_committed_files_have_a_digest_or_encryption_and_encrypted_addresses_come_first(repo: Path) -> None:
    sources = yaml.safe_load((repo / "workflow" / "sources.yaml").read_text())["sources"]
    files = {name: values for name, values in sources.items() if values["kind"] == "file"}
    assert len(files) > 5
    for name, values in files.items():
        is_open = [not address.startswith("https:") for address in values["addresses"]]
        assert is_open == sorted(is_open), name
        assert {"sha256", "md5"} & set(values) or not any(is_open), name
