"""The stand-in is held against the real clients, so that tests that use it mean something."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import requests

from downloads.content import CONTENT, SHA256
from helpers.standin import Standin


def test_plain_files(standin: Standin) -> None:
    standin.put("files/a.zip", CONTENT)
    url = f"{standin.url}/files/a.zip"
    head = requests.head(url)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(CONTENT)), b"")
    part = requests.get(url, headers={"Range": "bytes=299990-", "If-Range": head.headers["ETag"]})
    assert (part.status_code, part.content) == (206, CONTENT[-10:])
    assert part.headers["Content-Range"] == f"bytes 299990-299999/{len(CONTENT)}"
    assert requests.get(url, headers={"Range": "bytes=10-", "If-Range": '"other"'}).content == CONTENT
    assert requests.get(url, headers={"Range": "bytes=300000-"}).status_code == 416
    assert requests.get(f"{standin.url}/files/b.zip").status_code == 404
    assert [request.range for request in standin.asked("a.zip")][:2] == ["bytes=299990-", "bytes=10-"]


def test_the_hubs_own_client(standin: Standin, tmp_path: Path, script: Callable[..., subprocess.Popen[str]]) -> None:
    standin.put("hub/datasets/owner/name/test/0.tar", CONTENT)
    standin.put("hub/models/owner/name/config.json", b"{}")
    job = script("""
from pathlib import Path
from huggingface_hub import HfApi, hf_hub_download
print(*HfApi().list_repo_files("owner/name", repo_type="dataset"))
print(HfApi().model_info("owner/name").sha)
tar = Path(hf_hub_download("owner/name", "test/0.tar", repo_type="dataset"))
print(tar.resolve().name, tar.stat().st_size)
print(Path(hf_hub_download("owner/name", "config.json")).read_text())
""")
    output, errors = job.communicate()
    assert errors == ""
    files, commit, tar, config = output.splitlines()
    assert (files, len(commit), config) == ("test/0.tar", 40, "{}")
    assert tar == f"{SHA256} {len(CONTENT)}"  # the client's cache names a file by what it is


def test_weights_the_way_open_clip_fetches_them(standin: Standin, script: Callable[..., subprocess.Popen[str]]) -> None:
    standin.put("hub/models/timm/vit_base_patch32_clip_224.openai/open_clip_model.safetensors", b"weights")
    code = """
from overtop.encoders.catalogue import _pretrained, tag_facts
table = _pretrained()
table._has_safetensors = True  # as where torch is imported, which takes seconds
print(open(table.download_pretrained(tag_facts("ViT-B-32", "openai"))).read())
"""
    assert script(code).communicate() == ("weights\n", "")
    assert len(standin.asked("open_clip_model.safetensors")) == 1
    assert script(code, HF_HUB_OFFLINE="1").communicate() == ("weights\n", "")
    assert len(standin.asked("open_clip_model.safetensors")) == 1
