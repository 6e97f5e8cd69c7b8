"""No function of the package is longer than a screen.

Lines are counted from `def` to the last line of the body, docstring included.
"""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "rdc_jax"
MOST_LINES = 60


def functions(tree: ast.AST, prefix: str):
    """Dotted name and number of lines of every function, nested ones included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}.{node.name}"
            if not isinstance(node, ast.ClassDef):
                yield name, node.end_lineno - node.lineno + 1
            yield from functions(node, name)
        else:
            yield from functions(node, prefix)


def long_functions() -> dict[str, int]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        found |= {name: lines for name, lines in functions(tree, module) if lines > MOST_LINES}
    return found


def test_functions_fit_on_a_screen():
    assert long_functions() == {}, f"more than {MOST_LINES} lines"


def test_nested_functions_and_methods_are_seen():
    source = (
        "class A:\n    def b(self):\n        if self:\n            def c():\n                pass\n"
    )
    assert dict(functions(ast.parse(source), "m")) == {"m.A.b": 4, "m.A.b.c": 2}
