"""The files around the package agree with each other: versions, links, what is shipped."""

import re
import tomllib
from pathlib import Path

import pytest

import rdc_jax

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "launch" / "README.md"])
LINK = re.compile(r"\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")


def test_one_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    cited = re.search(r"^version: (\S+)$", citation, re.MULTILINE)
    newest = re.search(r"^## ([\d.]+)", changes, re.MULTILINE)
    versions = PROJECT["project"]["version"], cited[1], newest[1], rdc_jax.__version__
    assert len(set(versions)) == 1, versions


def test_requirements_of_decoding_are_those_of_the_package():
    lines = (ROOT / "requirements-decode.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if not line.startswith("#")]
    extras = PROJECT["project"]["optional-dependencies"]
    assert len(wanted) == 5
    assert set(wanted) <= {*PROJECT["project"]["dependencies"], *extras["onnx"]}


def test_types_are_shipped():
    assert (ROOT / "rdc_jax" / "py.typed").exists()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["rdc_jax"]


def test_rooms_whose_types_are_checked_exist():
    assert all((ROOT / folder).is_dir() for folder in PROJECT["tool"]["mypy"]["files"])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_moved_modules_exist():
    """The right column of the changelog's table names modules that can be found."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    table = text.partition("| old | new |")[2].partition("\n\n")[0]
    new = re.findall(r"`(rdc_jax[\w.]+)`", "\n".join(row.split("|")[2] for row in rows(table)))
    missing = [name for name in new if not is_module(name)]
    assert len(new) > 20 and missing == []


def rows(table: str) -> list[str]:
    return [line for line in table.splitlines() if line.startswith("| `")]


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").exists()
