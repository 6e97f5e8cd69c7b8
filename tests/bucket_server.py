"""A Cloud Storage server on this machine, for tensorstore, array_record and fsspec.

    with bucket_server.serving() as server:
        environment |= server.environment()     # where the clients find it
        server.objects["bucket/name"]           # what was written, bytes

Objects are whole and replaced as a whole. There are no folders, no renames and no appending, as in
a real bucket without a hierarchical namespace.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

OF_OBJECT = re.compile(r"(?:/download)?/storage/v1/b/([^/]+)/o/(.+)")
OF_BUCKET = re.compile(r"/storage/v1/b/([^/]+)")
OF_LIST = re.compile(r"/storage/v1/b/([^/]+)/o/?")
OF_UPLOAD = re.compile(r"/upload/storage/v1/b/([^/]+)/o/?")
OF_XML = re.compile(r"/([^/]+)/(.+)")  # how the C++ client reads an object


@dataclasses.dataclass
class Server:
    """The address of the server, and its objects by "BUCKET/NAME"."""

    address: str = ""
    objects: dict[str, bytes] = dataclasses.field(default_factory=dict)
    generations: dict[str, int] = dataclasses.field(default_factory=dict)
    pending: dict[str, tuple[str, bytes]] = dataclasses.field(default_factory=dict)
    requests: list[str] = dataclasses.field(default_factory=list)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def environment(self) -> dict[str, str]:
        """Variables that lead the clients here, without credentials."""
        return {
            "TENSORSTORE_GCS_HTTP_URL": self.address,  # tensorstore
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "none",
            "CLOUD_STORAGE_EMULATOR_ENDPOINT": self.address,  # array_record: the C++ client
            "STORAGE_EMULATOR_HOST": self.address,  # gcsfs, and the file system of bucket_client
            "EPATH_USE_TF": "false",
        }

    def put(self, key: str, content: bytes) -> None:
        """Makes or replaces an object."""
        with self.lock:
            self.generations[key] = self.generations.get(key, 0) + 1
            self.objects[key] = content

    def names(self, prefix: str) -> list[str]:
        """Names of the objects below "BUCKET/PREFIX", sorted, without the prefix."""
        with self.lock:
            found = [name for name in self.objects if name.startswith(prefix)]
        return sorted(name.removeprefix(prefix) for name in found)


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A server that runs until the end of the context."""
    store = Server()

    class Handler(_Handler):
        server_store = store

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        store.address = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield store
        finally:
            http.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One request; `server_store` is what it works on."""

    server_store: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        url, query = self._parsed()
        if match := OF_LIST.fullmatch(url):
            self._list(match[1], query)
        elif match := OF_BUCKET.fullmatch(url):
            self._json({"kind": "storage#bucket", "id": match[1], "name": match[1]})
        elif match := OF_OBJECT.fullmatch(url) or OF_XML.fullmatch(url):
            media = query.get("alt") == "media" or not OF_OBJECT.fullmatch(url)
            self._get(f"{match[1]}/{unquote(match[2])}", media)
        else:
            self._answer(404)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        url, query = self._parsed()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "id" in query:
            self._upload_part(query, body)
            return
        match = OF_UPLOAD.fullmatch(url)
        if not match:
            self._answer(404)
            return
        if query.get("uploadType") == "resumable":  # gcsfs: the name first, then the content
            key = f"{match[1]}/{query.get('name') or json.loads(body)['name']}"
            with self.server_store.lock:
                self.server_store.pending[str(len(self.server_store.pending))] = (key, b"")
                number = len(self.server_store.pending) - 1
            self._answer(200, b"", {"Location": f"{self.server_store.address}{url}?id={number}"})
            return
        if query.get("uploadType") == "multipart":  # gcsfs: one part names, the other one is it
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            described, content = email.message_from_bytes(head + body).get_payload()
            query["name"] = json.loads(described.get_payload(decode=True))["name"]
            body = content.get_payload(decode=True)
        self._put(f"{match[1]}/{query['name']}", body, query)

    def do_DELETE(self) -> None:
        url, _ = self._parsed()
        match, store = OF_OBJECT.fullmatch(url), self.server_store
        with store.lock:
            gone = match and store.objects.pop(f"{match[1]}/{unquote(match[2])}", None)
        self._answer(404 if gone is None else 204)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # clients drop idle connections
            super().handle()

    def log_message(self, *_: object) -> None:
        pass

    def _parsed(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        with self.server_store.lock:
            self.server_store.requests.append(f"{self.command} {self.path}")
        return parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}

    def _upload_part(self, query: dict[str, str], part: bytes) -> None:
        """A part of a resumable upload, often the only one."""
        key, before = self.server_store.pending[query["id"]]
        content = before + part
        self.server_store.pending[query["id"]] = key, content
        size = self.headers.get("Content-Range", "").rpartition("/")[2]
        if size == "*" or len(content) < int(size or 0):
            self._answer(308, b"", {"Range": f"bytes=0-{len(content) - 1}"})
        else:
            self._put(key, content, query)

    def _get(self, key: str, media: bool) -> None:
        store = self.server_store
        with store.lock:
            content, generation = store.objects.get(key), store.generations.get(key, 0)
        if content is None:
            self._answer(404)
            return
        if not media:
            self._json(_described(key, content, generation))
            return
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        headers = {"x-goog-generation": str(generation), "ETag": f'"{generation}"'}
        if not found:
            self._answer(200, content, headers)
            return
        size = len(content)
        start = int(found[1]) if found[1] else max(0, size - int(found[2]))
        stop = min(size, int(found[2]) + 1) if found[1] and found[2] else size
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        if start >= size:
            self._answer(416)
        else:
            self._answer(206, content[start:stop], headers)

    def _put(self, key: str, content: bytes, query: dict[str, str]) -> None:
        store = self.server_store
        with store.lock:
            generation = store.generations.get(key, 0)
            held = generation if key in store.objects else 0
            wanted = query.get("ifGenerationMatch")
            if wanted is not None and int(wanted) != held:
                generation = -1
            else:
                generation += 1
                store.objects[key], store.generations[key] = content, generation
        if generation < 0:
            self._answer(412)
        else:
            self._json(_described(key, content, generation))

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        store, prefix = self.server_store, query.get("prefix", "")
        delimiter, items, folders = query.get("delimiter"), [], set()
        first, last = query.get("startOffset", ""), query.get("endOffset")
        with store.lock:
            found = [(k, v, store.generations[k]) for k, v in sorted(store.objects.items())]
        for key, content, generation in found:
            holder, _, name = key.partition("/")
            outside = name < first or (last is not None and name >= last)
            if holder != bucket or not name.startswith(prefix) or outside:
                continue
            rest = name[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
            else:
                items.append(_described(key, content, generation))
        self._json({"kind": "storage#objects", "items": items, "prefixes": sorted(folders)})

    def _json(self, value: object) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _answer(
        self, code: int, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _described(key: str, content: bytes, generation: int) -> dict[str, object]:
    bucket, _, name = key.partition("/")
    return {
        "kind": "storage#object", "id": f"{key}/{generation}", "bucket": bucket, "name": name,
        "size": str(len(content)), "generation": str(generation), "metageneration": "1",
        "etag": str(generation), "contentType": "application/octet-stream",
        "timeCreated": "2026-01-01T00:00:00.000Z", "updated": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip
