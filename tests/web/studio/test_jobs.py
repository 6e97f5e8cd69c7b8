"""Progress and stopping, the kept size, other codecs, faces and notes: what the page builds on."""

import json
import threading
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw

import rdc_jax
from rdc_jax.evaluation.report.sizes import size_text
from rdc_jax.importance import detectors
from rdc_jax.web.studio import jobs, other_codecs
from tests.images import png_files
from tests.web.studio.studio_client import as_png, from_png, left_half


def test_a_job_counts_its_parts_and_never_goes_back():
    job, seen = jobs.Job(), []
    with job.part("encoding", 0.0, 0.4):
        for share in (0.5, 0.25, 1.0):
            job.report(share)
            seen.append(job.share)
    with job.part("encoding", 0.4, 1.0):
        job.report(0.5)
        seen.append(job.share)
    assert seen == pytest.approx([0.2, 0.2, 0.4, 0.7]) and job.share == 1.0
    with pytest.raises(jobs.Stopped), job.part("decoding"):
        assert (job.stage, job.share) == ("decoding", 0.0)
        job.stop()
        job.report(0.5)


def test_jobs_are_kept_by_key_and_the_oldest_are_dropped():
    kept = jobs.Jobs()
    first = kept.get("first")
    assert kept.get("first") is first and kept.get(None) is not kept.get(None)
    assert kept.get("x" * 65) is not kept.get("x" * 65)
    for number in range(jobs.KEPT):
        kept.get(str(number))
    assert kept.get("first") is not first


def test_the_codec_reports_every_window_and_tile_and_can_be_stopped(codec, pixels):
    wide, seen = np.tile(pixels, (6, 6, 1)), []  # 432 x 600 pixels: 2 x 3 windows, 6 tiles
    data = codec.encode(wide, resilient=True, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) > 8
    assert data == codec.encode(wide, resilient=True)
    seen.clear()
    image = codec.decode(data, progress=seen.append)
    assert seen == pytest.approx(np.arange(1, len(seen) + 1) / len(seen)) and len(seen) == 6
    assert np.array_equal(image, codec.decode(data))

    def stop(share):
        raise jobs.Stopped

    for work in (codec.encode, codec.decode):
        with pytest.raises(jobs.Stopped):
            work(wide if work == codec.encode else data, progress=stop)


def test_a_running_and_a_waiting_job_are_stopped(client, counting, photo):
    counting.held, answers = {"encode"}, {}

    def ask(job):
        answers[job] = client.ask("/encode", {"photo": photo, "job": job})

    threads = [threading.Thread(target=ask, args=(job,)) for job in ("one", "two")]
    for thread in threads:
        thread.start()
        while not counting.inside:
            time.sleep(0.01)
    while client.json("/progress", {"job": "one"})["share"] != 0.42:
        time.sleep(0.01)
    assert client.json("/progress", {"job": "two"}) == {"stage": "waiting", "share": 0.0}
    for job in ("two", "one"):
        client.json("/stop", {"job": job})
    for thread in threads:
        thread.join()
    for status, content, _ in answers.values():
        assert status == 422 and json.loads(content)["error"] == "stopped"
    assert counting.calls == ["encode"] and counting.inside == 0
    counting.held = set()
    client.json("/stop", {"job": "three"})  # before its request arrives
    assert client.refused("/encode", {"photo": photo, "job": "three"}) == "stopped"
    assert client.json("/encode", {"photo": photo, "job": "four"})["file"]


def test_a_mask_keeps_the_size(client, counting, photo):
    asked = {"photo": photo, "quality": 60, "mask": left_half()}
    plain = client.json("/encode", asked | {"mask": None})["bytes"]
    kept = client.json("/encode", asked | {"keep_size": True})
    assert 0.95 * plain <= kept["bytes"] <= plain and kept["importance"] is not None
    assert kept["quality"] != 60 and kept["note"] == ""
    other = client.json("/encode", asked | {"keep_size": True, "quality": 40})
    assert other["bytes"] <= client.json("/encode", asked | {"mask": None, "quality": 40})["bytes"]
    free = client.json("/encode", asked)
    assert free["quality"] == 60 and free["bytes"] != kept["bytes"]


@pytest.mark.parametrize("codec_name", ["jpeg", "webp"])
def test_another_codec_has_the_same_size(client, photo, pixels, codec_name):
    coded = client.json("/encode", {"photo": photo, "quality": 100})
    status, content, headers = client.ask("/compare", {"file": coded["file"], "codec": codec_name})
    assert status == 200 and from_png(content).shape == pixels.shape
    figures = json.loads(headers["Rdc-Figures"])
    assert figures["bytes"] <= coded["bytes"] and figures["note"] == "" and figures["psnr"] > 20


def test_a_codec_that_cannot_be_so_small_shows_its_smallest(pixels):
    image, found = other_codecs.at_size(rdc_jax.images.LoadedImage(pixels), "jpeg", 100)
    assert found["bytes"] > 100 and image.pixels.shape == pixels.shape
    assert size_text(found["bytes"]) in found["note"] and "JPEG cannot" in found["note"]


def test_what_cannot_be_compared_is_one_line(client, counting, photo, pixels):
    coded = client.json("/encode", {"photo": photo})
    assert "choose from jpeg" in client.refused("/compare", {"file": coded["file"], "codec": "x"})
    opened = client.json("/open", counting._codec.encode(pixels))
    line = client.refused("/compare", {"file": opened["file"], "codec": "jpeg"})
    assert "original is not known" in line


def test_faces_come_from_the_detector_or_are_none(client, photo, monkeypatch, tmp_path):
    def chosen(weights):
        monkeypatch.setattr(detectors, "choose", lambda name: detectors.Choice(weights, {}))

    chosen(None)
    assert client.json("/faces", {"photo": photo})["faces"] == []
    chosen(tmp_path / "fake.onnx")
    monkeypatch.setattr(
        "rdc_jax.importance.faces.find", lambda pixels, weights: np.array([[1.0, 2, 30, 40]])
    )
    assert client.json("/faces", {"photo": photo})["faces"] == [[1, 2, 30, 40]]


def test_photos_come_with_their_size_and_drawings_with_a_note(client, pixels):
    data = as_png(pixels)
    opened = client.json("/photo", data)
    assert opened["bytes"] == len(data) and opened["note"] == ""
    assert client.json("/demo", {})["bytes"] > 100_000
    drawn = Image.new("RGB", (400, 300), "white")
    for row in range(0, 300, 12):
        ImageDraw.Draw(drawn).text((4, row), "a drawing " * 8, fill="black")
    assert "looks like a drawing" in client.json("/photo", as_png(np.asarray(drawn)))["note"]


def test_what_a_photo_loses_is_in_its_note(client, pixels):
    plain = as_png(pixels)
    broken = plain[:33] + png_files.chunk(b"gAMA", b"\0") + plain[33:]  # after IHDR
    note = client.json("/photo", broken)["note"]
    assert note.startswith("The file has a gAMA chunk that is ignored") and note.endswith(".")


def test_messages_name_the_uploaded_file(client, pixels):
    for path, data in (("/photo", as_png(pixels)[:200]), ("/open", b"GIF89a")):
        _, content, _ = client.ask(path, data, **{"Rdc-Name": "caf%C3%A9%0A.png"})
        assert "'café .png'" in json.loads(content)["error"]


def test_sizes_have_three_digits():
    sizes = {1: "1 byte", 999: "999 bytes", 1000: "1.00 kB", 12_449: "12.4 kB", 687_000: "687 kB",
             999_499: "999 kB", 999_500: "1.00 MB", 1_050_000: "1.05 MB"}  # fmt: skip
    assert {size: size_text(size) for size in sizes} == sizes
