"""The address of the repository: one variable in each notebook, and a badge made from it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from colab import address

NOTEBOOKS = sorted(address.FOLDER.glob("*.ipynb"))
PUBLIC = "https://github.com/someone/codec"


def cells(path):
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]


def variable(path):
    return re.search(r'^REPOSITORY = "(.*?)"', cells(path)[1], re.M)[1]


def test_all_notebooks_have_one_address_and_its_badge():
    (only,) = {variable(path) for path in NOTEBOOKS}
    for path in NOTEBOOKS:
        text = "\n".join(cells(path))
        assert len(re.findall(r"^REPOSITORY = ", text, re.M)) == 1
        assert (address.BADGE in text) == bool(only)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_an_address_comes_and_goes(path, tmp_path):
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    address.write(copy, "")
    without = copy.read_bytes()
    for _ in range(2):
        address.write(copy, PUBLIC)
        assert variable(copy) == PUBLIC
        title = cells(copy)[0].splitlines()
        link = f"https://colab.research.google.com/github/someone/codec/blob/main/colab/{path.name}"
        assert title[0] == f"[![Open In Colab]({address.BADGE})]({link})"
        assert title[1] == "" and title[2].startswith("# rdc_jax")
    address.write(copy, "")
    assert copy.read_bytes() == without


def test_an_address_elsewhere_is_refused(capsys):
    before = [path.read_bytes() for path in NOTEBOOKS]
    assert address.main(["https://example.com/a"]) == 2
    assert "is not of the form" in capsys.readouterr().err
    assert address.main([]) == 2
    assert [path.read_bytes() for path in NOTEBOOKS] == before


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_alone_and_without_an_address_a_notebook_says_what_to_do(path, tmp_path):
    code = re.sub(r"^( *)!.*$", r"\1pass", cells(path)[2], flags=re.M)
    for repository, message in (
        ("", "set REPOSITORY in the first cell"),
        (PUBLIC, "did not clone"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", f"REPOSITORY = {repository!r}\n{code}"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        last = done.stderr.splitlines()[-1]
        assert done.returncode == 1 and last.startswith("RuntimeError") and message in last


def test_a_notebook_in_a_clone_finds_it():
    code = cells(Path(address.FOLDER / "try_it.ipynb"))[2].replace("    !", "    assert 0  # ")
    done = subprocess.run(
        [sys.executable, "-c", f"REPOSITORY = ''\n{code}\nprint(os.getcwd())"],
        cwd=address.FOLDER, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()) == address.FOLDER.parent
