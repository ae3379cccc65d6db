"""A stand-in, on the loopback, of the servers that files are fetched from: plain HTTP, and the Hugging Face hub."""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

LFS = (".tar", ".zip", ".safetensors", ".bin", ".pt", ".parquet")
"""Endings of the files that the hub keeps outside git, and calls by their sha256."""

FACTS = {"private": False, "gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": []}
"""What the hub's API says of every repository here."""


class Request(NamedTuple):
    """What was asked: `range` is the header's text, or None."""

    method: str
    path: str
    range: str | None


@dataclass
class Fault:
    """What goes wrong with the first `times` requests for a path.

    Attributes:
        kind: `cut`: the connection closes after `after` bytes of the body; `slow`: it stalls there for `seconds`;
            `wrong_bytes`: the body's bytes are flipped; `status`: the answer is `status`, with `headers`;
            `no_range`: ranges are ignored and there is no ETag.
    """

    kind: Literal["cut", "slow", "wrong_bytes", "status", "no_range"]
    times: int = 1 << 30
    after: int = 0
    seconds: float = 0.0
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)


class Standin:
    """Serves a folder until the `with` block ends.

    `root/files/...` is served under `/files/...`, `root/hub/{datasets,models}/OWNER/NAME/...` as repositories of the
    hub whose only branch is `main`.

    Args:
        root: the folder; files may be added and changed while it is served.
        faults: for ends of paths (`a.zip`, `test/0.tar`), what goes wrong there; may be changed as well.

    Attributes:
        url: its address, the value for HF_ENDPOINT.
        requests: all that was asked, in order.
    """

    def __init__(self, root: Path, faults: Mapping[str, Fault] | None = None) -> None:
        self.root = root
        self.faults = dict(faults or {})
        self.requests: list[Request] = []
        self.lock = Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"standin": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Standin":
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, path: str, content: bytes) -> str:
        """Write a file under the root and return its sha256."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def asked(self, end: str, method: str = "GET") -> list[Request]:
        """The requests for paths with this end."""
        return [request for request in self.requests if request.path.endswith(end) and request.method == method]

    def environment(self, home: Path) -> dict[str, str]:
        """The variables of a process whose hub this is; its cache and token lie in `home`."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGINGFACE_"))}
        return {**kept, "HF_ENDPOINT": self.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"}

    def fault(self, path: str, kinds: tuple[str, ...]) -> Fault | None:
        """The fault of one of these kinds that the next answer for `path` shows, counted down."""
        with self.lock:
            for end, fault in self.faults.items():
                if path.endswith(end) and fault.kind in kinds and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None


class _Refused(Exception):
    """An answer without a body: status and headers."""

    def __init__(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.headers = status, headers or {}


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    standin: Standin
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests read `Standin.requests`."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        with self.standin.lock:
            self.standin.requests.append(Request(self.command, path, self.headers["Range"]))
        try:
            if fault := self.standin.fault(path, ("status",)):
                raise _Refused(fault.status, fault.headers)
            if path.startswith("/files/"):
                self._file(self.standin.root / path[1:], path, {})
            else:
                self._hub(path)
        except _Refused as refused:
            self._head(refused.status, {**refused.headers, "Content-Length": "0"})
        except (BrokenPipeError, ConnectionResetError):  # the client had enough
            self.close_connection = True

    def _hub(self, path: str) -> None:
        parts = path.strip("/").removeprefix("api/").split("/")
        kind = parts.pop(0) if parts[0] in ("datasets", "models") else "models"
        repository = self.standin.root.joinpath("hub", kind, *parts[:2])
        if not repository.is_dir():
            raise _Refused(401, {"X-Error-Code": "RepoNotFound"})
        files = sorted(p for p in repository.rglob("*") if p.is_file())
        state = [(str(p.relative_to(repository)), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
        commit = hashlib.sha1(repr(state).encode()).hexdigest()
        if len(parts) > 3 and parts[3] not in ("main", commit):
            raise _Refused(404, {"X-Error-Code": "RevisionNotFound"})
        if path.startswith("/api/"):
            tree = [{"type": "file", "path": name, "size": size, "oid": "0" * 40} for name, size, _ in state]
            siblings = [{"rfilename": name} for name, *_ in state]
            facts = {"id": "/".join(parts[:2]), "sha": commit, "siblings": siblings, **FACTS}
            return self._json(tree if "tree" in parts[2:3] else facts)
        return self._file(repository.joinpath(*parts[4:]), path, {"X-Repo-Commit": commit})

    def _file(self, file: Path, path: str, headers: dict[str, str]) -> None:
        """Answer with a file, or the range of it that is asked for; `headers` are the hub's, and empty for others."""
        if not file.is_file():
            raise _Refused(404, {"X-Error-Code": "EntryNotFound", **headers} if headers else {})
        content = file.read_bytes()
        etag = hashlib.sha256(content).hexdigest()
        if headers and file.suffix in LFS:
            headers |= {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{etag}"'}
        elif headers:
            etag = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        status, body = 200, content
        if self.standin.fault(path, ("no_range",)) is None:
            headers |= {"ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
            if self.headers["Range"] and self.headers["If-Range"] in (None, headers["ETag"]):
                status, start = 206, int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    raise _Refused(416, {"Content-Range": f"bytes */{len(content)}"})
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                body = content[start:]
        self._head(status, {**headers, "Content-Length": str(len(body))})
        if self.command == "GET":
            self._body(body, path)

    def _body(self, body: bytes, path: str) -> None:
        fault = self.standin.fault(path, ("cut", "slow", "wrong_bytes")) or Fault("cut", after=len(body))
        if fault.kind == "wrong_bytes":
            self.wfile.write(bytes(byte ^ 0xFF for byte in body))
            return
        self.wfile.write(body[: fault.after])
        if fault.kind == "slow":
            time.sleep(fault.seconds)
            self.wfile.write(body[fault.after :])
        elif fault.after < len(body):
            self.close_connection = True

    def _json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self._head(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        if self.command == "GET":
            self.wfile.write(body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
