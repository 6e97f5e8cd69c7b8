"""gs:// for a process under test: a small file system in the place of gcsfs, and a strict watch.

    with bucket_client.serving() as server:  # in this process
    bucket_client.command("train", ...)      # arguments of a child process that runs `rdc` with it

The file system has the rules of a bucket: no folders of its own, no renames, no appending. And
whatever opens, lists, makes or renames a local path that should be gs://... gets an exception.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import fsspec
import pytest

from tests import bucket_server

ROOT = Path(__file__).resolve().parents[1]
START = """
import sys
sys.path.insert(0, {root!r})
from tests import bucket_client
bucket_client.install()
from rdc_jax.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def command(*arguments: object) -> list[str]:
    """The command of a process that runs `rdc ARGUMENTS`, with the bucket in place of gcsfs."""
    return [sys.executable, "-c", START.format(root=str(ROOT)), *map(str, arguments)]


def install() -> None:
    """Serves gs:// by `Bucket` in this process, and forbids local paths that look like it."""
    from orbax.checkpoint._src.path import gcs_utils

    fsspec.register_implementation("gcs", Bucket, clobber=True)
    gcs_utils.get_bucket = lambda name: object()  # a flat bucket; google-cloud-storage would say so
    sys.addaudithook(_forbid_local_paths)


@contextlib.contextmanager
def serving() -> Iterator[bucket_server.Server]:
    """Runs a server that this process uses for gs://."""
    with bucket_server.serving() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        install()
        yield server


def _forbid_local_paths(event: str, arguments: tuple) -> None:
    if event in ("open", "os.listdir", "os.mkdir", "os.rename", "os.remove", "os.scandir"):
        for path in arguments[:2]:
            text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
            if "gs:" in text:
                raise PermissionError(f"{event} of a local path {text!r}")


class Bucket(fsspec.AbstractFileSystem):
    """The objects of a `bucket_server`, through its HTTP interface."""

    protocol = ("gs", "gcs")
    cachable = False

    @property
    def _address(self) -> str:
        """Of the server. epath keeps this object; every test module has a server of its own."""
        return os.environ["STORAGE_EMULATOR_HOST"]

    def ls(self, path: str, detail: bool = True, **_: object) -> list:
        path = self._strip_protocol(path).rstrip("/")
        bucket, _, name = path.partition("/")
        prefix = f"{name}/" if name else ""
        query = f"prefix={quote(prefix, safe='')}&delimiter=%2F"
        answer = self._json(f"/storage/v1/b/{bucket}/o?{query}")
        found = [_file(f"{bucket}/{item['name']}", int(item["size"])) for item in answer["items"]]
        found += [_folder(f"{bucket}/{folder.rstrip('/')}") for folder in answer["prefixes"]]
        if not found:
            try:
                found = [_file(path, int(self._json(self._object(path))["size"]))]
            except urllib.error.HTTPError:
                raise FileNotFoundError(path) from None
        return found if detail else [entry["name"] for entry in found]

    def info(self, path: str, **_: object) -> dict:
        path = self._strip_protocol(path).rstrip("/")
        for entry in self.ls(path):
            return entry if entry["name"] == path else _folder(path)
        raise FileNotFoundError(path)

    def mkdir(self, path: str, create_parents: bool = True, **_: object) -> None:
        """Nothing: a folder is there while it has objects."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Nothing, see `mkdir`."""

    def mv(self, *_: object, **__: object) -> None:
        raise PermissionError("a bucket renames nothing")

    rename = mv

    def cp_file(self, path1: str, path2: str, **_: object) -> None:
        self.pipe_file(path2, self.cat_file(path1))

    def rm(self, path: str, recursive: bool = False, maxdepth: int | None = None) -> None:
        path = self._strip_protocol(path)
        files = self.find(path) if recursive else [path]
        if not files:
            raise FileNotFoundError(path)
        for file in files:
            self._request("DELETE", self._object(file))

    def _open(self, path: str, mode: str = "rb", **_: object) -> io.IOBase:
        path = self._strip_protocol(path)
        if mode == "wb":
            return _Upload(self, path)
        if mode != "rb":
            raise PermissionError(f"a bucket cannot open with mode {mode!r}")
        try:
            return io.BytesIO(self._request("GET", f"{self._object(path)}?alt=media"))
        except urllib.error.HTTPError:
            raise FileNotFoundError(path) from None

    def upload(self, path: str, content: bytes) -> None:
        """Replaces an object."""
        bucket, _, name = path.partition("/")
        query = f"uploadType=media&name={quote(name, safe='')}"
        self._request("POST", f"/upload/storage/v1/b/{bucket}/o?{query}", content)

    def _object(self, path: str) -> str:
        bucket, _, name = path.partition("/")
        return f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}"

    def _json(self, url: str) -> dict:
        return json.loads(self._request("GET", url))

    def _request(self, method: str, url: str, content: bytes | None = None) -> bytes:
        request = urllib.request.Request(self._address + url, content, method=method)
        with urllib.request.urlopen(request) as answer:
            return answer.read()


class _Upload(io.BytesIO):
    """A new object, which is there once it is closed."""

    def __init__(self, bucket: Bucket, path: str):
        super().__init__()
        self._bucket, self._path = bucket, path

    def close(self) -> None:
        if not self.closed:
            self._bucket.upload(self._path, self.getvalue())
        super().close()


def _file(name: str, size: int) -> dict:
    return {"name": name, "size": size, "type": "file"}


def _folder(name: str) -> dict:
    return {"name": name, "size": 0, "type": "directory"}
