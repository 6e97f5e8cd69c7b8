"""Hooks of mkdocs: pages from files outside docs/, and links that follow.

The repository's links are relative paths that work where files are browsed. On the site, a link to
a file that is a page becomes a link to this page, and a link to any other file that exists becomes
its text. Links to missing files are left as they are, so that `mkdocs build --strict` reports them.

A line `::: rdc_jax.ROOM` of the API reference stands for all modules of the room.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
PAGES = {  # file of the repository -> page of the site
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "launch/README.md": "launch.md",
}
SOURCES = {page: source for source, page in PAGES.items()}
ROOM = re.compile(r"^::: (rdc_jax\.\w+)$", re.MULTILINE)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_files(files, config):
    """Adds the pages from outside docs/."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text("utf-8")))
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrites the links of one page, and names the modules of a room."""
    path = page.file.src_uri
    source = SOURCES.get(path, f"docs/{path}")

    def rewritten(link: re.Match) -> str:
        image, text, target, anchor = link.groups()
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        on_site = PAGES.get(wanted) or wanted.removeprefix("docs/")
        if wanted in PAGES or wanted.startswith("docs/"):
            relative = posixpath.relpath(on_site, posixpath.dirname(path) or ".")
            return f"{image}[{text}]({relative}{anchor or ''})"
        return text if (ROOT / wanted).exists() else link.group()

    return ROOM.sub(modules_of, LINK.sub(rewritten, markdown))


def modules_of(room: re.Match) -> str:
    """A reference to each module of a room, in alphabetical order; to a plain module as it is."""
    folder = ROOT / room[1].replace(".", "/")
    paths = sorted(path.relative_to(ROOT).with_suffix("") for path in folder.rglob("*.py"))
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    return "\n\n".join(f"::: {name}" for name in names) or room[0]
