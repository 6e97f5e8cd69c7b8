"""Sizes in words, the line of a file, and the last line of a folder."""

from __future__ import annotations

import shutil

import pytest

from rdc_jax.cli import encode_report, folder_summary, sizes
from rdc_jax.cli.main import main
from rdc_jax.evaluation.report.sizes import size_text

pytestmark = pytest.mark.usefixtures("no_cache_in_this_process")


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.00 kB"), (9994, "9.99 kB"),
        (9996, "10.0 kB"), (12_400, "12.4 kB"), (99_960, "100 kB"), (999_400, "999 kB"),
        (999_600, "1.00 MB"), (1_050_000, "1.05 MB"), (3 * 10**9, "3.00 GB"),
        (5 * 10**15, "5000 TB"),
    ],
)  # fmt: skip
def test_readable_sizes(size, words):
    assert size_text(size) == words


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (1_050_000, 12_400, "1.05 MB -> 12.4 kB (85x smaller)"),
        (3000, 2000, "3.00 kB -> 2.00 kB (1.5x smaller)"),
        (2000, 1990, "2.00 kB -> 1.99 kB (about the same)"),
        (500, 1000, "500 bytes -> 1.00 kB (2.0x larger)"),
        (0, 1000, "0 bytes -> 1.00 kB (no ratio)"),
    ],
)
def test_changes_of_size(before, after, words):
    assert sizes.change(before, after) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (59.4, "59 s"), (60, "1 min 0 s"), (7800, "2 h 10 min")],
)
def test_durations(seconds, words):
    assert folder_summary.duration(seconds) == words


def encoded(**changes):
    return {"input_bytes": 40_000, "bytes": 1000, "width": 100, "height": 80} | changes


@pytest.mark.parametrize(
    ("reports", "words"),
    [
        ([], "0 files, 2.0 s"),
        ([encoded()], "1 file: 40.0 kB -> 1.00 kB (40x smaller), 1.000 bits per pixel, 2.0 s"),
        (
            [encoded(), encoded(bytes=3000), {"skipped": True}, {"error": "x"}, {"error": "y"}],
            "2 files: 80.0 kB -> 4.00 kB (20x smaller), 2.000 bits per pixel, 2.0 s, "
            "1 existed already, 2 failed",
        ),
        ([encoded(input_bytes=None)], "1 file: 1.00 kB, 1.000 bits per pixel, 2.0 s"),
        ([{"bytes": 2000}, {"bytes": 3000}], "2 files: 5.00 kB decoded, 2.0 s"),
    ],
)
def test_the_summary_of_a_folder(reports, words):
    assert folder_summary.of_reports(reports, 2.0) == words


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (40_000, 999, "40.0 kB -> 999 bytes (40x smaller)"),
        (40_000, 2978, "40.0 kB -> 2.98 kB (13x smaller), 2978 bytes"),
        (None, 2978, "2978 bytes"),
        (None, 1, "1 byte"),
    ],
)
def test_the_exact_size_is_said_once(before, after, words):
    assert encode_report.size_words(before, after) == words


def test_what_the_commands_say(models, photo, tmp_path, capsys):
    model, source = ["--model", str(models / "first")], tmp_path / "in"
    source.mkdir()
    for name in "ab":
        shutil.copy(photo, source / f"{name}.png")
    (source / "c.png").write_text("not an image")

    assert main(["encode", str(photo), "-o", str(tmp_path / "one.rdc"), *model]) == 0
    size, coded = photo.stat().st_size, (tmp_path / "one.rdc").stat().st_size
    said = capsys.readouterr().out
    assert f" pixels, {encode_report.size_words(size, coded)}, " in said
    assert said.count("\n") == 1  # one file has no summary

    out = ["-o", str(tmp_path / "out")]
    assert main(["encode", str(source), *out, *model]) == 2
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"2 files: {sizes.change(2 * size, 2 * coded)}, ")
    assert last.endswith(" s, 1 failed")
    assert main(["encode", str(source / "a.png"), str(photo), *out, "--resume", *model]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(" s, 1 existed already")
    assert main(["decode", out[1], "-o", str(tmp_path / "images"), *model]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"3 files: {size_text(3 * coded)} decoded, ")
    for quiet in ("--quiet", "--json"):
        assert main(["encode", str(source / "a.png"), str(photo), *out, "-f", quiet, *model]) == 0
        assert len(capsys.readouterr().out.splitlines()) == (2 if quiet == "--json" else 0)
