"""Every refusal of a network by a chip or the simulator carries the id of its rule."""

from __future__ import annotations

import ast
from pathlib import Path

import nmhw

ROOT = Path(nmhw.__file__).parent
NAMES = ("UnsupportedError", "DoesNotFitError")


def refusals() -> list[tuple[str, ast.Call]]:
    found = []
    for path in _files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in NAMES:
                found.append((f"{path.name}:{node.lineno}", node))
    return found


def _files() -> list[Path]:
    folders = (ROOT, *(ROOT / name for name in ("mappers", "sim")))
    return sorted({p.resolve() for f in folders for p in f.resolve().rglob("*.py")})


def test_every_refusal_has_a_rule() -> None:
    found = refusals()
    assert len(found) > 20
    missing = [where for where, call in found if "rule" not in {k.arg for k in call.keywords}]
    assert not missing
