"""The studio over plain HTTP: what its page asks for."""

import json
import re
import threading

import numpy as np
import pytest

from rdc_jax.bitstream import container
from rdc_jax.evaluation.metrics.distortion import psnr
from rdc_jax.evaluation.report.sizes import size_text
from rdc_jax.web.studio import server
from tests.web.studio.studio_client import as_png, from_png, left_half, sent_mask, url_pixels


def test_the_page_and_nothing_else_is_served(client):
    for path, (_, kind) in server.PAGE.items():
        status, content, headers = client.ask(path)
        assert status == 200 and headers["Content-Type"].startswith(kind)
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        # Names of other places: only the namespace of the icon.
        assert set(re.findall(rb"https?://[\w.]+", content)) <= {b"http://www.w3.org"}
    scripts = b"".join(client.ask(path)[1] for path in server.PAGE if path.endswith(".js"))
    asked = set(re.findall(rb'from "\.(/\w+\.js)"', scripts)) | {b"/app.js"}
    assert {name.decode() for name in asked} == {p for p in server.PAGE if p.endswith(".js")}
    others = (
        *("/page", "/page/", "/studio.html", "/server.py", "/../server.py", "/%2e%2e/x"),
        *("/photo/", "/photo/../../x", "//etc/passwd", "/etc/passwd", "/app.js/", "/studio.css?"),
    )
    for path in others:
        assert client.ask(path)[0] in (404, 422), path
    assert client.refused("/nothing", {}, 404)


def test_the_state_names_the_model_and_its_defaults(client, codec):
    state = client.json("/state")
    assert state["model_id"] == codec.model.model_id.hex() and state["steps"] == 1


def test_encode_then_decode_at_other_taus_without_encoding_again(client, counting, photo, pixels):
    status, content, _ = client.ask(f"/photo/{photo}")
    assert status == 200 and np.array_equal(from_png(content), pixels)
    coded = client.json("/encode", {"photo": photo, "quality": 60})
    assert coded["bpp"] == pytest.approx(8 * coded["bytes"] / pixels[..., 0].size)
    assert coded["quality"] == 60 and coded["importance"] is None and coded["seconds"] > 0
    assert sum(coded["parts"].values()) == coded["bytes"] and coded["fields"]["width"] == 100
    assert coded["extent"] == [104, 72] and url_pixels(coded["bits"]).shape == (9, 13, 3)
    pictures = []
    for steps in (1, 3):
        found, figures = client.decoded(file=coded["file"], tau=1, steps=steps)
        assert figures["psnr"] == pytest.approx(psnr(pixels, found))
        assert figures["psnr_inside"] is None
        pictures.append(found)
    assert not np.array_equal(*pictures)
    assert counting.calls == ["encode", "entropy", "reconstruct", "reconstruct"]
    data = client.ask("/file", {"file": coded["file"]})[1]
    assert np.array_equal(counting._codec.decode(data, tau=1.0, steps=3), pictures[1])


def test_what_is_painted_gets_the_bits(client, photo, pixels):
    asked = {"photo": photo, "quality": 50, "roi_gain": 300}
    coded = client.json("/encode", asked | {"mask": left_half()})
    levels = url_pixels(coded["importance"])
    assert levels[:, 0].min() == 255 and levels[:, -1].max() == 0
    _, figures = client.decoded(file=coded["file"])
    assert figures["psnr_inside"] > figures["psnr"] > figures["psnr_outside"]
    by_map, _ = client.decoded(file=coded["file"], tau="roi", steps=1)
    assert by_map.shape == pixels.shape
    weaker = client.json("/encode", asked | {"mask": left_half(), "roi_gain": 0})
    assert len({weaker["fields"][f"timestep_{end}"] for end in ("background", "roi")}) == 1
    shares = [
        bits[:, :6].mean() / bits[:, 7:].mean()
        for bits in (url_pixels(answer["bits"]) for answer in (coded, weaker))
    ]
    assert shares[0] > 1.1 * shares[1]
    nothing = client.json("/encode", asked | {"mask": sent_mask(np.zeros((4, 5)))})
    assert nothing["importance"] is None and nothing["fields"]["num_levels"] == 1


def test_a_target_size_is_kept_or_said_to_be_too_small(client, photo):
    large = client.json("/encode", {"photo": photo, "quality": 95})["bytes"]
    asked = {"photo": photo, "target_kb": 0.6 * large / 1000}
    coded = client.json("/encode", asked)
    assert 0.4 * large < coded["bytes"] <= 0.6 * large and coded["note"] == ""
    coded = client.json("/encode", asked | {"target_kb": 0.01})
    assert coded["quality"] == 0
    assert f"takes {size_text(coded['bytes'])}, more than the 10 bytes asked for" in coded["note"]


def test_masks_are_suggested(client, photo):
    asked = {"photo": photo, "columns": 50, "rows": 36}
    for kind in ("auto", "center"):
        status, content, headers = client.ask("/mask", asked | {"kind": kind})
        assert "(" not in json.loads(headers["Rdc-Figures"])["found"]
        mask = np.frombuffer(content, np.uint8).reshape(36, 50)
        assert status == 200 and mask.shape == (36, 50)
        if kind == "center":
            assert 0.1 < (mask > 127).mean() < 0.4
    assert "auto or center" in client.refused("/mask", asked | {"kind": "all"})
    assert "Columns" in client.refused("/mask", asked | {"kind": "auto", "columns": 0})


def test_a_saved_file_suggests_what_was_chosen_and_opens_again(client, counting, photo):
    coded = client.json("/encode", {"photo": photo, "quality": 60, "mask": left_half()})
    shown, _ = client.decoded(file=coded["file"], tau=0.4, steps=2)
    status, data, _ = client.ask("/file", {"file": coded["file"], "tau": 0.4, "steps": 2})
    assert status == 200 and len(data) == coded["bytes"]
    header, _ = container.unpack(data)
    assert (header.default_tau, header.default_steps) == (102, 2)
    opened = client.json("/open", data)
    assert opened["fields"] == coded["fields"] | {"default_tau": 0.4, "default_steps": 2}
    assert opened["fields"] == container.described(header)
    assert opened["importance"] == coded["importance"] and "bits" not in opened
    again, figures = client.decoded(file=opened["file"], tau=0.4, steps=2)
    assert np.array_equal(again, shown) and figures["psnr"] is None
    assert np.array_equal(counting._codec.decode(data), shown)


def test_older_photos_and_files_are_let_go(client, pixels):
    first, *_, last = (client.json("/photo", as_png(pixels[:16, :16]))["photo"] for _ in range(4))
    assert client.ask(f"/photo/{last}")[0] == 200
    assert "open it again" in client.refused(f"/photo/{first}")


def test_requests_take_turns(client, counting, photo):
    threads = [
        threading.Thread(target=client.ask, args=("/encode", {"photo": photo, "quality": q}))
        for q in range(10, 60, 10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counting.calls == ["encode"] * 5 and counting.most == 1


def test_a_file_of_tiles_is_opened_and_saved_as_it_is(client, counting, pixels):
    data = counting._codec.encode(np.tile(pixels, (4, 4, 1)), tile=256)
    opened = client.json("/open", data)
    assert sum(opened["parts"].values()) == len(data) and "tiles" in opened["parts"]
    found, _ = client.decoded(file=opened["file"], tau=0.0, steps=1)
    assert np.array_equal(found, counting._codec.decode(data, tau=0.0, steps=1))
    assert client.ask("/file", {"file": opened["file"]})[1] == data
