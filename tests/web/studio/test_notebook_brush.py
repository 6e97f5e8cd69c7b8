"""The brush of the notebooks: its Python side with a stand-in for Colab; its page in Chromium."""

import json
import sys
import types

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.web.studio import notebook_brush
from tests.web.studio.studio_client import left_half


def test_a_painted_mask_gets_the_size_of_the_photo(monkeypatch, pixels):
    answers, shown = [json.dumps(left_half()), "null"], []
    output = types.SimpleNamespace(eval_js=lambda call: answers.pop(0))
    display = types.SimpleNamespace(Javascript=str, display=shown.append)
    monkeypatch.setitem(sys.modules, "google.colab", types.SimpleNamespace(output=output))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    mask = notebook_brush.paint(pixels)
    assert mask.shape == pixels.shape[:2] and mask.dtype == np.uint8
    assert mask[:, :45].min() == 255 and mask[:, 55:].max() == 0
    assert notebook_brush.paint(pixels) is None
    assert "rdcPaint" in shown[0] and "export" not in shown[0]


def test_outside_colab_it_is_one_line(pixels):
    with pytest.raises(RdcError, match="only in Colab"):
        notebook_brush.paint(pixels)


@pytest.mark.slow
def test_the_brush_paints_and_answers(browser, pixels):
    page = browser.new_page()
    page.add_script_tag(content=notebook_brush.script())
    page.evaluate(f"() => {{ window.answer = {notebook_brush.call(pixels)}; }}")
    box = page.locator("canvas").bounding_box()
    assert (box["width"], box["height"]) == (100, 72)
    page.mouse.move(box["x"] + 30, box["y"] + 36)
    page.mouse.down()
    page.mouse.move(box["x"] + 50, box["y"] + 36, steps=4)
    page.mouse.up()
    page.locator("button", has_text="Done").click()
    sent = json.loads(page.evaluate("() => window.answer"))
    page.close()
    assert (sent["width"], sent["height"]) == (100, 72) and "/" in sent["data"]
