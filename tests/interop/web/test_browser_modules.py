"""The page's modules in Chromium without the page: golden files, and use from another host."""

import json
import shutil
from pathlib import Path

import pytest

from rdc_jax.interop.web.folder import SITE
from tests.interop.web.served import CHROMIUM, Host, Page

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
GOLDEN = HERE.parents[1] / "golden"
EMBEDDING = """<!doctype html>
<title>another host</title>
<script type="module" src="{address}rdc.js"></script>
<rdc-image id="image" src="{address}small.rdc" alt="waves" tau="0"></rdc-image>
<script>
const image = document.getElementById("image");
image.addEventListener("load", () => {{ window.outcome = "load"; }});
image.addEventListener("error", (event) => {{ window.outcome = event.message; }});
</script>
"""


@pytest.fixture
def visit(tmp_path):
    """Function (host, query) -> page, in a Chromium of its own."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    pages = []

    def opened(host, query):
        pages.append(Page(CHROMIUM, tmp_path / "profile", host.address))
        pages[-1].open(query)
        return pages[-1]

    yield opened
    for page in pages:
        page.close()


def test_symbols_of_golden_files_are_those_of_the_package(visit, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "golden").symlink_to(GOLDEN)
    (root / "site").symlink_to(SITE)
    shutil.copy(HERE / "golden_page.html", root)
    with Host(root) as host:
        page = visit(host, "golden_page.html")
        page.wait("window.hashes")
        found = page.browser.value("window.hashes")
    files = json.loads((GOLDEN / "golden.json").read_text())["files"]
    assert found == {name: file["symbol_hash"] for name, file in files.items()}


def test_a_page_of_another_host_shows_an_image(visit, site, files, tmp_path):
    """Its worker, its model and its file all come from a host that allows this."""
    (site / "small.rdc").write_bytes(files["small.rdc"])
    root = tmp_path / "root"
    root.mkdir()
    with Host(site, anyone=True) as host, Host(root) as other:
        (root / "index.html").write_text(EMBEDDING.format(address=host.address))
        page = visit(other, "")
        page.wait("window.outcome")
        assert page.browser.value("window.outcome") == "load"
        assert page.browser.value("image.naturalWidth") == 120
        assert not page.browser.value("crossOriginIsolated")  # so one thread had to do
