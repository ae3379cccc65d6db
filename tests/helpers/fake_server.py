"""A local server for download tests: plain HTTP files and the API of the Hugging Face Hub, with faults on request."""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

LFS_SUFFIXES = (".tar", ".zip", ".safetensors", ".bin", ".pt", ".parquet")
"""Suffixes of the files that the hub stores in Git LFS; their ETag is the SHA-256."""

REPOSITORY_METADATA = {"private": False, "gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": []}
"""Fields that the hub's API returns for every repository."""


class Request(NamedTuple):
    """One request: its method, its path and the value of its Range header or None."""

    method: str
    path: str
    range: str | None


@dataclass
class Fault:
    """An error in the responses to the first `times` requests for a path.

    Attributes:
        kind: `cut`: the connection closes after `after` bytes of the body; `slow`: it stalls there for `seconds`;
            `drip`: it comes byte by byte, each after `seconds`; `wrong_bytes`: all bits of the body are flipped;
            `longer`: the body has one more byte, and its size is not stated; `status`: the response is `status` with
            `headers`; `no_range`: the Range header is ignored and the response has no ETag.
        times: number of requests that fail; later ones succeed.
        after: bytes of the body that are sent before the fault.
        seconds: duration of a stall.
        status: HTTP status code.
        headers: of a response with `status`.
    """

    kind: Literal["cut", "slow", "drip", "wrong_bytes", "longer", "status", "no_range"]
    times: int = 1 << 30
    after: int = 0
    seconds: float = 0.0
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeServer:
    """Serves a folder over HTTP on 127.0.0.1 inside a `with` block.

    `root/files/...` is served as `/files/...`, and `root/hub/{datasets,models}/OWNER/NAME/...` as repositories of the
    Hugging Face Hub whose only branch is `main`.

    Args:
        root: the folder; files may be added and changed while it is served.

    Attributes:
        url: address of the server, the value for HF_ENDPOINT.
        faults: suffix of a path (`a.zip`, `test/0.tar`) to the fault of its responses; may be changed at any time.
        requests: all requests so far, in order.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: dict[str, Fault] = {}
        self.requests: list[Request] = []
        self.lock = Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake_server": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FakeServer":
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add_file(self, path: str, content: bytes) -> str:
        """Write a file below the root and return its SHA-256."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def requests_for(self, suffix: str) -> list[Request]:
        """Return the GET requests for paths with this suffix."""
        return [request for request in self.requests if request.path.endswith(suffix) and request.method == "GET"]

    def environment(self, home: Path) -> dict[str, str]:
        """Return environment variables for a process that uses this server as its hub and `home` as its HF_HOME."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGINGFACE_"))}
        return {**inherited, "HF_ENDPOINT": self.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"}

    def next_fault(self, path: str, kinds: tuple[str, ...]) -> Fault | None:
        """Return the fault of one of these kinds for the next response to `path`, and decrement its counter."""
        with self.lock:
            for suffix, fault in self.faults.items():
                if path.endswith(suffix) and fault.kind in kinds and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None


@contextmanager
def serve_hub(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """Serve a folder as the hub of this process."""
    with FakeServer(folder) as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
        monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server


class _ErrorResponse(Exception):
    """A response without a body: status and headers."""

    def __init__(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.headers = status, headers or {}


class _Handler(BaseHTTPRequestHandler):
    """Handles the requests of one connection."""

    fake_server: FakeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Log nothing; tests read `FakeServer.requests`."""

    def handle(self) -> None:
        """Handle requests until the client closes the connection, even if it does so abruptly."""
        with suppress(ConnectionResetError):
            super().handle()

    def do_HEAD(self) -> None:
        self._respond()

    def do_GET(self) -> None:
        self._respond()

    def _respond(self) -> None:
        path = unquote(urlsplit(self.path).path)
        with self.fake_server.lock:
            self.fake_server.requests.append(Request(self.command, path, self.headers["Range"]))
        try:
            if fault := self.fake_server.next_fault(path, ("status",)):
                raise _ErrorResponse(fault.status, fault.headers)
            if path.startswith("/files/"):
                self._send_file(self.fake_server.root / path[1:], path, {})
            else:
                self._send_hub_response(path)
        except _ErrorResponse as error:
            self._send_headers(error.status, {**error.headers, "Content-Length": "0"})
        except (BrokenPipeError, ConnectionResetError):  # the client closed the connection
            self.close_connection = True

    def _send_hub_response(self, path: str) -> None:
        parts = path.strip("/").removeprefix("api/").split("/")
        kind = parts.pop(0) if parts[0] in ("datasets", "models") else "models"
        repository = self.fake_server.root.joinpath("hub", kind, *parts[:2])
        if not repository.is_dir():
            raise _ErrorResponse(401, {"X-Error-Code": "RepoNotFound"})
        files = sorted(p for p in repository.rglob("*") if p.is_file())
        state = [(str(p.relative_to(repository)), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
        commit = hashlib.sha1(repr(state).encode()).hexdigest()
        if len(parts) > 3 and parts[3] not in ("main", commit):
            raise _ErrorResponse(404, {"X-Error-Code": "RevisionNotFound"})
        if path.startswith("/api/"):
            tree = [{"type": "file", "path": name, "size": size, "oid": "0" * 40} for name, size, _ in state]
            siblings = [{"rfilename": name} for name, *_ in state]
            metadata = {"id": "/".join(parts[:2]), "sha": commit, "siblings": siblings, **REPOSITORY_METADATA}
            return self._send_json(tree if "tree" in parts[2:3] else metadata)
        return self._send_file(repository.joinpath(*parts[4:]), path, {"X-Repo-Commit": commit})

    def _send_file(self, file: Path, path: str, headers: dict[str, str]) -> None:
        """Send a file or the requested range of it; `headers` are those of the hub, empty for plain HTTP."""
        if not file.is_file():
            raise _ErrorResponse(404, {"X-Error-Code": "EntryNotFound", **headers} if headers else {})
        content = file.read_bytes()
        etag = hashlib.sha256(content).hexdigest()
        if headers and file.suffix in LFS_SUFFIXES:
            headers |= {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{etag}"'}
        elif headers:
            etag = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        status, body = 200, content
        if self.fake_server.next_fault(path, ("no_range",)) is None:
            headers |= {"ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
            if self.headers["Range"] and self.headers["If-Range"] in (None, headers["ETag"]):
                status, start = 206, int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    raise _ErrorResponse(416, {"Content-Range": f"bytes */{len(content)}"})
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                body = content[start:]
        if self.fake_server.next_fault(path, ("longer",)):
            self.close_connection = True
            self._send_headers(status, {**headers, "Connection": "close"})
            self.wfile.write(body + b"x")
            return
        self._send_headers(status, {**headers, "Content-Length": str(len(body))})
        if self.command == "GET":
            self._send_body(body, path)

    def _send_body(self, body: bytes, path: str) -> None:
        fault = self.fake_server.next_fault(path, ("cut", "slow", "drip", "wrong_bytes")) or Fault(
            "cut", after=len(body)
        )
        if fault.kind == "wrong_bytes":
            self.wfile.write(bytes(byte ^ 0xFF for byte in body))
            return
        if fault.kind == "drip":
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(fault.seconds)
            return
        self.wfile.write(body[: fault.after])
        if fault.kind == "slow":
            time.sleep(fault.seconds)
            self.wfile.write(body[fault.after :])
        elif fault.after < len(body):
            self.close_connection = True

    def _send_json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self._send_headers(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        if self.command == "GET":
            self.wfile.write(body)

    def _send_headers(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
