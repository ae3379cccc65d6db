"""The fake server is tested with the real clients, so that tests can rely on it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import requests

from downloads.content import CONTENT, SHA256
from helpers.fake_server import FakeServer


def test_fake_server_serves_plain_files_with_ranges(server: FakeServer) -> None:
    server.add_file("files/a.zip", CONTENT)
    url = f"{server.url}/files/a.zip"
    head = requests.head(url)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(CONTENT)), b"")
    part = requests.get(url, headers={"Range": "bytes=299990-", "If-Range": head.headers["ETag"]})
    assert (part.status_code, part.content) == (206, CONTENT[-10:])
    assert part.headers["Content-Range"] == f"bytes 299990-299999/{len(CONTENT)}"
    assert requests.get(url, headers={"Range": "bytes=10-", "If-Range": '"other"'}).content == CONTENT
    assert requests.get(url, headers={"Range": "bytes=300000-"}).status_code == 416
    assert requests.get(f"{server.url}/files/b.zip").status_code == 404
    assert [request.range for request in server.requests_for("a.zip")][:2] == ["bytes=299990-", "bytes=10-"]


def test_fake_server_serves_hub_client(
    server: FakeServer, tmp_path: Path, script: Callable[..., subprocess.Popen[str]]
) -> None:
    server.add_file("hub/datasets/owner/name/test/0.tar", CONTENT)
    server.add_file("hub/models/owner/name/config.json", b"{}")
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
    assert tar == f"{SHA256} {len(CONTENT)}"  # the client's cache uses the sha256 as file name


def test_fake_server_serves_open_clip(server: FakeServer, script: Callable[..., subprocess.Popen[str]]) -> None:
    server.add_file("hub/models/timm/vit_base_patch32_clip_224.openai/open_clip_model.safetensors", b"weights")
    code = """
from overtop.encoders.compat import open_clip
print(open(open_clip.download_pretrained(open_clip.get_pretrained_cfg("ViT-B-32", "openai"))).read())
"""
    assert script(code).communicate()[0] == "weights\n"
    assert len(server.requests_for("open_clip_model.safetensors")) == 1
    assert script(code, HF_HUB_OFFLINE="1").communicate()[0] == "weights\n"
    assert len(server.requests_for("open_clip_model.safetensors")) == 1
