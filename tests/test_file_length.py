"""No test file is longer than a reader's patience: one subject a file.

The lines of a file are counted as `wc -l` counts them. Files that several tests read, such as
recipes for golden files, count as tests.
"""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
MOST_LINES = 300


def long_files(folder: Path) -> dict[str, int]:
    lengths = {
        str(path.relative_to(folder)): path.read_bytes().count(b"\n")
        for path in sorted(folder.rglob("*.py"))
    }
    return {name: lines for name, lines in lengths.items() if lines > MOST_LINES}


def test_test_files_have_one_subject():
    assert long_files(TESTS) == {}, f"more than {MOST_LINES} lines; split by subject"


def test_files_in_folders_are_counted(tmp_path):
    (tmp_path / "room").mkdir()
    for lines in (MOST_LINES, MOST_LINES + 1):
        (tmp_path / "room" / f"{lines}.py").write_text("pass\n" * lines)
    assert long_files(tmp_path) == {"room/301.py": 301}
