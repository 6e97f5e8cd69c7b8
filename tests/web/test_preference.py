"""The study of preferences: pairs, the server and what it refuses, answers, intervals."""

import http.client
import json
import shutil
import threading
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.evaluation import preference
from rdc_jax.web import preference_server, serving


def point(image, codec, setting, size):
    return {"image": image, "codec": codec, "setting": setting, "bytes": size,
            "picture": f"pictures/{codec}/{setting}/{image}"}  # fmt: skip


@pytest.fixture
def points():
    sizes = {"rdc": (1000, 2000), "jpeg": (1040, 3000), "webp": (990, 2010)}
    return [
        point(f"{n}.png", codec, setting, size)
        for n in range(5)
        for codec, column in sizes.items()
        for setting, size in zip((10, 20), column, strict=True)
    ]


@pytest.fixture
def folder(tmp_path, points, rng):
    folder = tmp_path / "results"
    for path in {p["picture"] for p in points} | {f"pictures/original/0/{n}.png" for n in range(5)}:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (4, 6, 3), np.uint8)).save(folder / path)
    (folder / "secret.png").write_bytes(b"secret")
    return folder


class Client:
    """Speaks to a server in a thread as the page does."""

    def __init__(self, server):
        self.server = server
        self.thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        self.thread.start()

    def ask(self, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        method = "GET" if body is None else "POST"
        kind = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, body, kind | headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content, answer.headers

    def state(self):
        return json.loads(self.ask("/state")[1])

    def choose(self, choice, key=None):
        key = self.state()["key"] if key is None else key
        return json.loads(self.ask("/answer", json.dumps({"key": key, "choice": choice}))[1])

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def start(points, folder, tmp_path):
    clients = []

    def start(study=None, file="answers.csv"):
        study = preference.pairs(points, seed=0) if study is None else study
        clients.append(Client(preference_server.make_server(study, folder, tmp_path / file, 0)))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def test_pairs_have_equal_bytes_and_balanced_sides(points):
    found = preference.pairs(points, seed=3)
    assert len(found) == len({pair.key for pair in found}) == 5 * 3  # jpeg and webp: 1040 to 990
    sides = Counter((pair.left["codec"], pair.right["codec"]) for pair in found)
    for pair in found:
        small, large = sorted((pair.left["bytes"], pair.right["bytes"]))
        assert large <= 1.05 * small and pair.left["image"] == pair.right["image"] == pair.image
    assert all(abs(sides[a, b] - sides[b, a]) <= 1 for a, b in sides)
    assert preference.pairs(points, seed=3) == found != preference.pairs(points, seed=4)
    others = preference.pairs(points, seed=4)
    assert {pair.key for pair in others} == {pair.key for pair in found}
    assert preference.pairs(points, seed=0, tolerance=0.001) == []
    named = preference.pairs(points, 0, originals={"0.png": "o.png"})
    assert {p.original for p in named} >= {"o.png", "pictures/original/0/1.png"}


def test_a_study_is_answered_undone_and_taken_up_again(start, tmp_path):
    client = start()
    first = client.state()
    assert (first["done"], first["total"], first["original"]) == (0, 15, True)
    assert client.choose("left")["done"] == 1
    assert client.choose("right", key=first["key"])["done"] == 1  # sent twice
    second = client.state()
    assert client.choose("skip")["done"] == 2
    assert client.choose("undo")["key"] == second["key"]
    assert client.choose("undo")["key"] == first["key"]
    assert client.choose("undo")["done"] == 0
    for choice in ("right", "left", "skip"):
        state = client.choose(choice)
    lines = (tmp_path / "answers.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 + 2 + 3 and lines[1].endswith(",left")

    again = start()
    assert again.state() == state
    while again.state()["pair"] is not None:
        state = again.choose("left")
    assert state["done"] == 15 and again.choose("left", key="x") == state


def test_images_are_served_by_number_only(start, folder):
    client = start()
    number = client.state()["pair"]
    for side in ("left", "right", "original"):
        status, content, headers = client.ask(f"/picture/{number}/{side}")
        assert status == 200 and content[:4] == b"\x89PNG"
        assert headers["Content-Type"] == "image/png" and headers["Cache-Control"] == "no-store"
    for path in ("/secret.png", "/../secret.png", "/picture/../secret.png", "/picture/0/..",
                 "/picture/99/left", "/picture/-1/left", "/picture/%D9%A0/left", "/picture/00/left",
                 "/picture/0/left/../../../secret.png", "/pictures/rdc/10/0.png",
                 "/answers.csv", "//etc/passwd"):  # fmt: skip
        assert client.ask(path)[0] == 404, path


def test_the_page_does_not_tell_the_codecs(start):
    client = start()
    status, page, headers = client.ask("/")
    told = page + client.ask("/state")[1]
    assert status == 200 and not any(name in told for name in (b"rdc", b"jpeg", b"webp"))
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_foreign_hosts_pages_and_requests_are_refused(start):
    client = start()
    port = client.server.server_port
    assert client.server.server_address[0] == "127.0.0.1"
    body = json.dumps({"key": client.state()["key"], "choice": "left"})
    for path, given in (
        ("/", None),
        ("/state", None),
        ("/picture/0/left", None),
        ("/answer", body),
    ):
        assert client.ask(path, given, Host="evil.example")[0] == 403
        assert client.ask(path, given, Host=f"evil.example:{port}")[0] == 403
        assert client.ask(path, given, Origin="http://evil.example")[0] == 403
    assert client.ask("/answer", body, **{"Content-Type": "text/plain"})[0] == 415
    assert client.ask("/answer", "x" * 2000)[0] == 413
    for damaged in ("", "{", "[]", "3", "{}"):
        assert client.ask("/answer", damaged)[0] == 400
    assert client.ask("/answer", json.dumps({"key": 1, "choice": ["left"]}))[0] == 400
    assert client.ask("/other", body)[0] == 404
    assert client.state()["done"] == 0
    ours = client.ask("/answer", body, Host=f"localhost:{port}", Origin=f"http://localhost:{port}")
    assert ours[0] == 200 and client.state()["done"] == 1


def test_what_goes_wrong_with_a_file_is_one_line(start, folder, tmp_path, monkeypatch, capfd):
    client = start()
    key = client.state()["key"]
    shutil.rmtree(folder / "pictures")
    status, content, _ = client.ask("/picture/0/left")
    said = json.loads(content)["error"]
    assert status == 422 and "run rdc eval again" in said
    assert not any(name in said for name in ("rdc/", "jpeg", "webp"))
    (tmp_path / "answers.csv").mkdir()
    status, content, _ = client.ask("/answer", json.dumps({"key": key, "choice": "left"}))
    assert status == 422 and "answers.csv" in json.loads(content)["error"]
    (tmp_path / "answers.csv").rmdir()
    assert client.state()["done"] == 0 and client.choose("left")["done"] == 1
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(preference.Journal, "state", lambda self: 1 / 0)
    assert client.ask("/state")[0] == 500 and "Traceback" in capfd.readouterr().err


def test_a_line_cut_short_costs_one_answer(start, tmp_path):
    client = start()
    client.choose("left")
    with open(tmp_path / "answers.csv", "a") as file:
        file.write('2026,"abc')
    again = start()
    assert again.state()["done"] == 1
    again.choose("right")
    assert start().state()["done"] == 2


def test_what_cannot_be_a_study_is_refused(points, folder, tmp_path):
    study = preference.pairs(points, seed=0)
    csv = tmp_path / "other.csv"
    csv.write_text("a,b\n1,2\n")
    with pytest.raises(RdcError, match="no answers of a study"):
        preference_server.make_server(study, folder, csv, 0)
    with pytest.raises(RdcError, match="raise the tolerance"):
        preference_server.make_server([], folder, tmp_path / "new.csv", 0)
    for path in ("../outside.png", "/etc/passwd", "results.json"):
        bad = study[0]._replace(left=study[0].left | {"picture": path})
        with pytest.raises(RdcError, match="is not an image below"):
            preference_server.make_server([bad], folder, tmp_path / "new.csv", 0)
    gone = study[0]._replace(left=study[0].left | {"picture": "gone.png"})
    with pytest.raises(RdcError, match="there is no image"):
        preference_server.make_server([gone], folder, tmp_path / "new.csv", 0)


def test_a_study_without_originals(start, folder):
    for file in (folder / "pictures" / "original" / "0").iterdir():
        file.unlink()
    client = start()
    assert client.state()["original"] is False
    assert client.ask("/picture/0/original")[0] == 404


def test_summary_counts_by_codec_whatever_the_side(points, start, tmp_path):
    study = [p for p in preference.pairs(points, seed=0) if {p.left["codec"], p.right["codec"]}
             == {"jpeg", "rdc"}]  # fmt: skip
    client = start(study)
    for pair in study[:4]:
        client.choose("left" if pair.left["codec"] == "rdc" else "right")
    client.choose("skip")
    [row] = preference.summary(tmp_path / "answers.csv")
    assert row[:5] == ("jpeg", "rdc", 4, 1, 0.0)
    assert (row.low, row.high) == pytest.approx((0.0, 0.4899), abs=1e-4)
    with pytest.raises(RdcError, match="there is no file"):
        preference.summary(tmp_path / "none.csv")


def test_wilson_interval_of_a_textbook():
    assert preference.wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert preference.wilson(10, 10)[1] == pytest.approx(1.0)
    assert preference.wilson(0, 0) == (0.0, 1.0)


def test_serve_ends_with_ctrl_c(points, folder, tmp_path, monkeypatch):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(serving.ThreadingHTTPServer, "serve_forever", interrupt)
    said = []
    study = preference.pairs(points, seed=0)
    preference_server.serve(study, folder, tmp_path / "a.csv", 0, said.append)
    assert said[0].startswith("http://127.0.0.1:")
