"""The page reads and refuses the same alpha planes as the package, in Node.js."""

import json

from tests.images.alpha_files import CASES, HEIGHT, PLANE, WIDTH


def test_alpha_planes_are_read_or_refused_as_in_the_package(node, tmp_path):
    entries = []
    for number, case in enumerate(CASES):
        (tmp_path / f"{number}.png").write_bytes(case.data)
        entries.append({"name": case.name, "file": f"{number}.png", "refused": case.refused})
    content = {"height": HEIGHT, "width": WIDTH, "plane": PLANE.ravel().tolist(), "cases": entries}
    (tmp_path / "cases.json").write_text(json.dumps(content))
    printed = node("alpha.test.mjs", tmp_path, test=True)
    assert f"# pass {len(CASES)}\n" in printed and "# fail 0\n" in printed
