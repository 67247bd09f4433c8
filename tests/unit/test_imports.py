"""Where third-party packages may be imported: what import-linter cannot express."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [path for name in ("nmhw", "mappers", "sim") for path in (ROOT / name).glob("**/*.py")]
OPTIONAL = {"dask", "jinja2", "lava", "matplotlib", "nirtorch", "optuna", "torch"}


def imported(statements: list[ast.stmt] | ast.AST) -> Iterator[str]:
    """Yield the top-level names of all imports below a node or in a list of statements."""
    nodes = statements if isinstance(statements, list) else list(ast.walk(statements))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def may_use_numba(path: Path) -> bool:
    """Say whether a file is a kernel file: in a folder ``kernels``, or called ``*kernel*``."""
    parts = path.relative_to(ROOT).parts
    return parts[0] in ("sim", "mappers") and ("kernels" in parts or "kernel" in path.stem)


def test_the_walk_sees_all_three_folders() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == {"nmhw", "mappers", "sim"}


@pytest.mark.parametrize(
    ("code", "names"), [("import a.b, c", ["a", "c"]), ("def f():\n from a.b import c", ["a"])]
)
def test_imports_are_found_at_every_depth(code: str, names: list[str]) -> None:
    assert list(imported(ast.parse(code))) == names


def test_numba_is_imported_in_kernel_files_alone() -> None:
    users = {path for path in FILES if "numba" in imported(ast.parse(path.read_text()))}
    outside = [str(path.relative_to(ROOT)) for path in users if not may_use_numba(path)]
    assert not outside, f"move these into kernel files: {outside}"


def test_optional_packages_are_imported_inside_functions() -> None:
    at_top = {
        str(path.relative_to(ROOT)): sorted(found)
        for path in FILES
        if "torch" not in path.relative_to(ROOT).parts[:-1]
        and (found := OPTIONAL & set(imported(ast.parse(path.read_text()).body)))
    }
    assert not at_top, f"import these inside the functions that need them: {at_top}"
