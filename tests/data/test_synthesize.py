"""`rdc data synthesize`: every kind of image at small size, and the output folder."""

import json

import numpy as np
import pytest

from rdc_jax.cli.main import main
from rdc_jax.data import synthesize as synthesizing
from rdc_jax.data.sources import FolderSource
from rdc_jax.data.synthesis import kinds, words
from rdc_jax.data.synthesis.colours import BLACK, WHITE
from rdc_jax.data.synthesis.fonts import Face, choose, find_fonts, languages_of
from rdc_jax.data.synthesis.lettering import Rendering, broken, width_of, write

pytest.importorskip("matplotlib")
SMALL = "256x256"


@pytest.fixture(scope="module")
def fonts():
    """Only Matplotlib's own fonts, which are the same everywhere."""
    return find_fonts("/nowhere")


def run(*arguments):
    return main(["data", "synthesize", *map(str, arguments)])


@pytest.mark.parametrize("kind", [kind for kind in kinds.KINDS if kind != "chart"])
def test_every_kind_draws_images_of_any_size_that_depend_on_the_seed(kind, fonts):
    drawn = [
        kinds.KINDS[kind](np.random.default_rng(seed), size, fonts)
        for seed, size in enumerate([(256, 256), (256, 400), (421, 256), (300, 301)] * 2)
    ]
    assert [a.shape for a in drawn[:3]] == [(256, 256, 3), (400, 256, 3), (256, 421, 3)]
    assert all(a.dtype == np.uint8 for a in drawn)
    again = kinds.KINDS[kind](np.random.default_rng(1), (256, 400), fonts)
    np.testing.assert_array_equal(drawn[1], again)
    assert sum(np.ptp(a) > 20 for a in drawn) >= 6 and len({a.tobytes() for a in drawn}) == 8


def test_charts(fonts):
    first, again, other = (
        kinds.KINDS["chart"](np.random.default_rng(seed), (300, 257), fonts) for seed in (3, 3, 4)
    )
    assert first.shape == (257, 300, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_matplotlib_alone_has_fonts_of_all_sorts_and_several_scripts(fonts):
    assert {font.kind for font in fonts} == {"serif", "sans", "mono"}
    assert any(font.bold for font in fonts) and any(font.italic for font in fonts)
    known = set(languages_of(fonts))
    assert {"English", "Vietnamese", "Russian", "Greek", "Armenian", "Georgian", "Hebrew"} <= known
    rng = np.random.default_rng(0)
    assert all("Hebrew" in choose(rng, fonts, "Hebrew").languages for _ in range(9))
    assert all(choose(rng, fonts, kind="mono").kind == "mono" for _ in range(9))


def test_families_are_equally_likely_with_any_number_of_files(fonts):
    rng = np.random.default_rng(0)
    drawn = [choose(rng, fonts, kind="mono").family for _ in range(200)]
    shares = [drawn.count(family) / 200 for family in sorted(set(drawn))]
    assert len(shares) == 2 and 0.4 < shares[0] < 0.6


def test_a_damaged_system_font_is_skipped(fonts, tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert find_fonts(str(tmp_path)) == fonts


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_text_of_every_language_can_be_broken_into_lines(language, fonts):
    """Also text in languages that only system fonts support."""
    face = Face(fonts[0].path, 14)
    text = words.paragraph(np.random.default_rng(0), language, 60)
    joiner = words.LANGUAGES[language].joiner
    lines = broken(text, face, 200, joiner)
    assert [word for line in lines for word in line] == text and len(lines) > 2
    assert all(len(line) == 1 or width_of(face, joiner.join(line)) <= 201 for line in lines)


def test_lcd_text_has_coloured_fringes_and_grey_text_has_none(fonts):
    from PIL import Image

    face = Face(choose(np.random.default_rng(0), fonts).path, 20)
    for rendering, coloured in ((Rendering(lcd=True), True), (Rendering(), False)):
        image = Image.new("RGB", (120, 40), WHITE)
        write(image, (5, 5), "million", face, BLACK, rendering=rendering)
        pixels = np.asarray(image).astype(int)
        assert pixels.min() < 60
        assert (np.ptp(pixels, axis=-1).max() > 30) == coloured


def test_the_folder_is_a_source_and_its_manifest_names_kinds_and_fonts(tmp_path, capsys):
    out = tmp_path / "new" / "drawn"
    assert run(out, "--count", 9, "--size", SMALL) == 0
    assert "9 images (1 application, 1 chart, 1 code" in capsys.readouterr().out
    manifest = json.loads((out / "manifest.json").read_text())
    assert {entry["kind"] for entry in manifest["files"]} == set(kinds.KINDS) - {"line_art"}
    assert all((out / entry["file"]).is_file() for entry in manifest["files"])
    assert "DejaVuSans.ttf" in manifest["fonts"] and manifest["seed"] == 0
    source = FolderSource(out)
    assert len(source) == 9 and source[0]["image"].shape == (256, 256, 3)


@pytest.fixture
def plain(monkeypatch):
    """Makes every image a plain gradient, for speed."""
    monkeypatch.setattr(kinds, "ORDER", ("gradient",))


def test_an_image_depends_only_on_seed_and_number(tmp_path, plain):
    a, b, c = (tmp_path / name for name in "abc")
    assert run(a, "--count", 3, "--size", SMALL) == run(b, "--count", 1, "--size", SMALL) == 0
    before = (b / "gradient" / "00000.png").stat().st_mtime_ns
    assert run(b, "--count", 3, "--size", SMALL) == 0  # larger: what is there stays
    assert (b / "gradient" / "00000.png").stat().st_mtime_ns == before
    assert run(c, "--count", 3, "--size", SMALL, "--seed", 1) == 0
    images = [[p.read_bytes() for p in sorted(d.glob("*/*.png"))] for d in (a, b, c)]
    assert images[0] == images[1] and len(set(images[0] + images[2])) == 6
    assert (a / "manifest.json").read_bytes() == (b / "manifest.json").read_bytes()


def test_sizes_vary_unless_a_size_is_given(fonts, plain):
    sides = [n for i in range(3) for n in kinds.draw(i, 0, fonts).shape[:2]]
    assert min(sides) >= 512 and max(sides) <= 1280 and len(set(sides)) > 4


def test_an_interrupted_run_continues(tmp_path, plain, monkeypatch, capsys):
    draw = kinds.draw

    def interrupted(number, *arguments):
        if number == 2:
            raise KeyboardInterrupt
        return draw(number, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(kinds, "draw", interrupted)
        assert run(tmp_path / "out", "--count", 4, "--size", SMALL) == 130
    assert "continues with the missing images" in capsys.readouterr().err
    assert len(list((tmp_path / "out").glob("*/*.png"))) == 2
    assert run(tmp_path / "out", "--count", 4, "--size", SMALL) == 0
    assert len(list((tmp_path / "out").glob("*/*.png"))) == 4


def error_of(capsys, *arguments):
    assert run(*arguments) == 2
    text = capsys.readouterr().err
    assert text.startswith("rdc: error: ") and text.count("\n") == 1
    return text


def test_errors_are_one_line(tmp_path, plain, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    assert "cannot use" in error_of(capsys, tmp_path / "file")
    assert "holds other files" in error_of(capsys, tmp_path)
    assert run(tmp_path / "out", "--count", 1, "--size", SMALL) == 0
    capsys.readouterr()
    assert "other settings (seed" in error_of(capsys, tmp_path / "out", "--seed", 1)
    assert "no folder" in error_of(capsys, tmp_path / "new", "--fonts", tmp_path / "none")
    assert "WxH" in error_of(capsys, tmp_path / "new", "--size", "12")
    assert "256 to 8192" in error_of(capsys, tmp_path / "new", "--size", "12x400")
    monkeypatch.setattr(synthesizing.kinds, "kind_of", lambda number: "gradient")
    (tmp_path / "out" / "gradient" / "00001.png").mkdir()
    assert "is a folder" in error_of(capsys, tmp_path / "out", "--count", 2, "--size", SMALL)


def test_without_matplotlib_the_extra_is_named(tmp_path, capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install matplotlib" in error_of(capsys, tmp_path / "out")
    assert not (tmp_path / "out").exists()
