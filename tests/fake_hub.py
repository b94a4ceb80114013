"""A hub on this machine: a few files of one repository, as the hub's own server would give them."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "fedcba9876543210fedcba9876543210fedcba98"


class Hub(ThreadingHTTPServer):
    """files: name -> content. cut_at: break the connection after so many bytes of a file, once for each. pause: an event to wait
    for before anything more is sent. requests: what was asked for, with the range."""

    def __init__(self, files: dict[str, bytes], commit: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.commit = files, commit
        self.cut_at: dict[str, int] = {}
        self.pause: threading.Event | None = None
        self.gated = False
        self.requests: list[tuple[str, str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def hub(files: dict[str, bytes], commit: str = COMMIT) -> Iterator[Hub]:
    server = Hub(files, commit)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        if server.pause:
            server.pause.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        span = self.headers.get("Range", "")
        self.server.requests.append((self.command, self.path, span))
        path = self.path.partition("?")[0]
        if self.server.gated:
            self._send(403, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access denied"})
        elif match := re.fullmatch(r"/api/models/[^/]+/[^/]+(/revision/[^/]+)?", path):
            names = [{"rfilename": name} for name in self.server.files]
            info = {"id": "owner/name", "sha": self.server.commit, "siblings": names}
            self._json(info)
        elif re.fullmatch(r"/api/models/[^/]+/[^/]+/tree/[^/]+.*", path):
            self._json([self._tree(name) for name in self.server.files])
        elif match := re.fullmatch(r"/[^/]+/[^/]+/resolve/[^/]+/(.+)", path):
            self._file(match[1], span)
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _tree(self, name: str) -> dict[str, Any]:
        content = self.server.files[name]
        digest = hashlib.sha256(content).hexdigest()
        entry = {"type": "file", "path": name, "size": len(content), "oid": digest[:40]}
        return {**entry, "lfs": {"oid": digest, "size": len(content), "pointerSize": 100}}

    def _file(self, name: str, span: str) -> None:
        content = self.server.files.get(name)
        if content is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        start = int(span.removeprefix("bytes=").split("-")[0]) if span else 0
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": self.server.commit,
            "Accept-Ranges": "bytes",
        }
        if span:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(
            206 if span else 200,
            content[start:],
            headers,
            self.server.cut_at.pop(name, None) if self.command == "GET" else None,
        )

    def _json(self, data: Any) -> None:
        self._send(200, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], cut_at: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body[:cut_at])
        self.wfile.flush()
        if cut_at is not None:
            if self.server.pause is not None:
                self.server.pause.wait()
            self.close_connection = True
            self.connection.close()
