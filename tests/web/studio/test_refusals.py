"""What the studio refuses, in one line: bad input, other sites, too much. And how it ends."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys

import pytest

import rdc_jax
from rdc_jax.bitstream import container
from rdc_jax.cli.main import main
from rdc_jax.web import serving
from rdc_jax.web.studio import request_fields, server
from rdc_jax.web.studio.workbench import Workbench
from tests.web.studio.studio_client import Counting, as_png


def test_what_cannot_be_done_is_one_line(client, counting, photo, pixels):
    assert "not an image" in client.refused("/photo", b"no picture")
    assert "damaged" in client.refused("/photo", as_png(pixels)[:200])
    assert "not an rdc file" in client.refused("/open", b"GIF89a")
    data = counting._codec.encode(pixels)
    for wrong in (data[:40], data + b"x", data[:30] + bytes([data[30] ^ 1]) + data[31:]):
        client.refused("/open", wrong)
    other = container.unpack(data)
    moved = container.pack(
        container.Header(**{**vars(other[0]), "model_id": b"otherone"}),
        [(s.type, s.payload) for s in other[1]],
    )
    assert "needs model" in client.refused("/open", moved)
    for asked, line in (
        ({"quality": 101}, "Quality must be a number from 0 to 100"),
        ({"quality": True}, "Quality must be"),
        ({"quality": float("nan")}, "Quality must be"),
        ({"quality": "5"}, "Quality must be"),
        ({"target_kb": 0}, "Target size in kB must be"),
        ({"roi_gain": -1}, "ROI gain must be"),
        ({"mask": 5}, "mask does not have the form"),
        ({"mask": {"width": 2, "height": 2, "data": "!"}}, "mask does not have the form"),
        ({"mask": {"width": 3, "height": 2, "data": "AAAA"}}, "3 bytes, not 3 x 2"),
        ({"mask": {"width": 9999, "height": 2, "data": ""}}, "Width must be"),
        ({"photo": "gone"}, "open it again"),
        ({"photo": ["x"]}, "open it again"),
    ):
        assert line in client.refused("/encode", {"photo": photo} | asked), asked
    file = client.json("/encode", {"photo": photo})["file"]
    for asked, line in (
        ({"tau": 2}, "Tau must be"),
        ({"tau": None}, "Tau must be"),
        ({"steps": 0}, "Steps must be"),
        ({"steps": 1.5}, "whole number"),
        ({"file": "gone"}, "open it again"),
    ):
        assert line in client.refused("/decode", {"file": file, "tau": 0, "steps": 1} | asked)
    for body in ("", "{", "[]", "3", '"x"', "[" * 100_000):
        client.refused("/encode", body, 400)
    assert counting.calls.count("encode") == 1


def test_too_large_is_refused(client, counting, pixels):
    small = Workbench(lambda: counting, max_pixels=1000)
    for data, ask in ((as_png(pixels), small.add_photo),
                      (counting._codec.encode(pixels), small.open_file)):  # fmt: skip
        with pytest.raises(rdc_jax.RdcError, match=r"100 x 72 pixels, more than the .* 1000"):
            ask(data)
    for path, kind, limit in (("/photo", server.BYTES, server.MAX_UPLOAD),
                              ("/encode", serving.JSON, server.MAX_JSON)):  # fmt: skip
        headers = {"Content-Type": kind, "Content-Length": str(limit + 1)}
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=10)
        connection.putrequest("POST", path)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == 413 and "MiB" in json.loads(answer.read())["error"]
        connection.close()
    assert client.ask("/photo", b"", **{"Content-Length": "-1"})[0] == 411
    assert client.ask("/photo", b"", **{"Content-Length": "9" * 30})[0] == 413


def test_other_sites_are_refused(client, counting):
    asked = {"photo": "x"}
    port = client.port
    evil = (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": f"127.0.0.1:{port + 1}"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": f"http://localhost:{port}"},  # another name than Host
        {"Origin": f"https://127.0.0.1:{port}"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    )
    for headers in evil:
        for path, body in (("/", None), ("/state", None), ("/encode", asked), ("/photo", b"x")):
            assert client.ask(path, body, **headers)[0] == 403, (path, headers)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert client.ask("/encode", asked, **{"Content-Type": kind})[0] == 415
    assert counting.calls == []
    own = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}
    assert client.ask("/demo", {}, **own)[0] == 200
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.ask("/", **link)[0] == 200
    assert client.ask("/demo", {}, **link, Origin="http://evil.example")[0] == 403


def test_a_bug_is_one_line_for_the_page_and_a_traceback_here(client, photo, monkeypatch, capfd):
    monkeypatch.setattr(Counting, "__getattr__", lambda self, name: 1 / 0)
    assert "ZeroDivisionError" in client.refused("/encode", {"photo": photo}, 500)
    assert "Traceback" in capfd.readouterr().err


def test_numbers_are_taken_literally():
    assert request_fields.number({"a": 3}, "a", 0, 5, whole=True) == 3
    assert request_fields.number({}, "a", 0, 5, 2.5) == 2.5
    with pytest.raises(rdc_jax.RdcError, match="A must be a number from 0 to 5"):
        request_fields.number({"a": float("inf")}, "a", 0, 5)


def test_the_command_prints_its_address_and_ends_with_ctrl_c(user_environment, smoke_model, ctrl_c):
    command = [sys.executable, "-m", "rdc_jax", "studio", "--port", "0", "--no-browser",
               "--model", str(smoke_model)]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=user_environment, **pipes) as process:
        try:
            line = process.stdout.readline()
            port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/  \(Ctrl-C ends\)\n", line)[1])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/")
            assert connection.getresponse().status == 200
            connection.close()
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, rest, errors) == (0, "", "")


def test_a_taken_port_is_one_line(smoke_model, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = ["studio", "--port", port, "--no-browser", "--model", str(smoke_model)]
        assert main(command) == 2
    error = capsys.readouterr().err
    assert (
        error.startswith("rdc: error: cannot listen at 127.0.0.1 port") and error.count("\n") == 1
    )
