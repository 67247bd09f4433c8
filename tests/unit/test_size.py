"""Files stay small and are named after what they hold."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("nmhw", "mappers", "sim", "hwconfigs", "tests", "examples", "benchmarks")
MAX_LINES = 350
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def python_files() -> list[Path]:
    """Return every Python file of the tree once: os.walk does not follow the links."""
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("**/*.py"))]


def test_the_walk_sees_the_packages() -> None:
    assert {ROOT / "nmhw/__init__.py", ROOT / "sim/__init__.py"} <= set(python_files())


def test_no_file_is_longer_than_the_limit() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in python_files()}
    too_long = {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > MAX_LINES}
    assert not too_long, f"split these files (limit {MAX_LINES} lines): {too_long}"


def test_no_file_has_a_vague_name() -> None:
    vague = [str(path.relative_to(ROOT)) for path in python_files() if path.stem in VAGUE_NAMES]
    assert not vague, f"name these after what they hold: {vague}"
