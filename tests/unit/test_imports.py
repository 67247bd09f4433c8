"""Where third-party packages may be imported: what import-linter cannot express."""

import ast
import sys
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
        if not {"torch", "processes"} & set(path.relative_to(ROOT).parts[:-1])
        and (found := OPTIONAL & set(imported(ast.parse(path.read_text()).body)))
    }
    assert not at_top, f"import these inside the functions that need them: {at_top}"


def test_the_lava_worker_imports_nothing_that_its_environment_lacks() -> None:
    files = list((ROOT / "sim/lava/worker").glob("**/*.py"))
    assert len(files) > 10
    allowed = {*sys.stdlib_module_names, "numpy", "scipy", "lava", "nmhw_lava"}
    foreign = {
        str(path.relative_to(ROOT)): sorted(found)
        for path in files
        if (found := set(imported(ast.parse(path.read_text()))) - allowed)
    }
    assert not foreign, f"the child interpreter has no {foreign}"
    launcher = set(imported(ast.parse((ROOT / "sim/lava/worker/nmhw_lava/launch.py").read_text())))
    assert launcher <= set(sys.stdlib_module_names)  # exported projects carry it


def test_files_beside_lava_processes_define_and_do_nothing_else() -> None:
    """Lava executes every file it finds there: imports, names, classes and functions alone."""
    harmless = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign)
    for path in (ROOT / "sim/lava/worker/nmhw_lava").glob("**/*.py"):
        for node in ast.parse(path.read_text()).body[1:]:
            assert isinstance(node, (*harmless, ast.AnnAssign)), (path, ast.unparse(node))
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                calls = [n for n in ast.walk(node.value) if isinstance(n, ast.Call)]
                assert not calls, (path, ast.unparse(node))
