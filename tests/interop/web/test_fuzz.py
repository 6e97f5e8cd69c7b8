"""Package and page agree on some hundred changed files; fuzz.py tries as many as you like."""

from tests.fuzz import mutations
from tests.fuzz.targets import GOLDEN
from tests.interop.web import fuzz


def test_package_and_page_accept_the_same_files_for_the_same_reasons(node, tmp_path):
    files = list(fuzz.changed_files(400, 5))
    found, summary = fuzz.compared(files, lambda folder: node("outcomes.mjs", folder), tmp_path)
    assert found == [], "\n".join(found[:5])
    decoded, refused = (int(part.split()[0]) for part in summary.partition(": ")[2].split(", ")[:2])
    assert decoded > 50 and refused > 100


def test_package_and_page_refuse_words_that_are_never_read(node, tmp_path):
    """One surplus word of `grey` went unnoticed in the package once."""
    golden = [(GOLDEN / f"{name}.rdc").read_bytes() for name in ("grey", "tails", "region")]
    files = [
        mutations.with_surplus(data, section, bytes(zeros) + b"\1\1\1\1")
        for data in golden
        for section in (2, 3)
        for zeros in (0, 4, 8)
    ]
    found, summary = fuzz.compared(files, lambda folder: node("outcomes.mjs", folder), tmp_path)
    assert found == [], "\n".join(found)
    assert "18 files: 7 decoded, 11 refused" in summary


def test_a_disagreement_is_seen():
    same = fuzz.Outcome("ab", "")
    assert fuzz.disagreement(b"", same, {"hash": "ab", "ms": 1}) is None
    assert "package" in fuzz.disagreement(b"", same, {"hash": "cd", "ms": 1})
    assert "package" in fuzz.disagreement(b"", same, {"refused": "no", "ms": 1})
    assert "took" in fuzz.disagreement(b"", same, {"hash": "ab", "ms": 60_000})
    other = fuzz.Outcome(None, "a reason")
    assert "package" in fuzz.disagreement(b"", other, {"refused": "another", "ms": 1})
