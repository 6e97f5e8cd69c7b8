"""Writes the address of the public repository into the notebooks: the variable and the badge.

    python colab/address.py https://github.com/OWNER/NAME [BRANCH]

Every notebook has the address once, as REPOSITORY in its first code cell. The badge above it opens
the notebook in Colab, which needs an address on GitHub. An empty address removes both.
"""

import json
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
GITHUB = r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?"


def badge(address: str, branch: str, notebook: str) -> str:
    """The badge of a notebook as Markdown, or "" without an address.

    Raises:
        ValueError: The address is not that of a repository on GitHub.
    """
    if not address:
        return ""
    found = re.fullmatch(GITHUB, address)
    if found is None:
        raise ValueError(f"'{address}' is not of the form https://github.com/OWNER/NAME")
    place = f"https://colab.research.google.com/github/{found[1]}/blob/{branch}/colab/{notebook}"
    return f"[![Open In Colab]({BADGE})]({place})"


def write(path: Path, address: str, branch: str = "main") -> None:
    """Replaces address and badge in one notebook."""
    shown = badge(address, branch, path.name)
    book = json.loads(path.read_text(encoding="utf-8"))
    title, parameters = book["cells"][:2]
    kept = [line for line in title["source"] if BADGE not in line]
    if len(kept) < len(title["source"]):
        kept = kept[1:]  # the empty line below the old badge
    title["source"] = ([shown + "\n", "\n"] if shown else []) + kept
    first = parameters["source"][0]
    parameters["source"][0] = re.sub(r'^REPOSITORY = "[^"]*"', f'REPOSITORY = "{address}"', first)
    path.write_text(json.dumps(book, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 2:
        print("usage: python colab/address.py ADDRESS [BRANCH]", file=sys.stderr)
        return 2
    try:
        for path in sorted(FOLDER.glob("*.ipynb")):
            write(path, *arguments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
