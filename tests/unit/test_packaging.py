"""The package list, the links, the guards, and what the wheel and the sdist contain."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
LINKED = ("mappers", "sim", "hwconfigs")


def packages_in_tree() -> set[str]:
    """Return the import names of all folders with an ``__init__.py`` (``**`` follows no link)."""
    names = set()
    for folder, prefix in (("nmhw", ""), *((name, "nmhw.") for name in LINKED)):
        for file in (ROOT / folder).glob("**/__init__.py"):
            names.add(prefix + ".".join(file.parent.relative_to(ROOT).parts))
    return names


def files_in_tree() -> set[str]:
    """Return the paths in a wheel that the Python files of the tree must have."""
    paths = set()
    for package in packages_in_tree():
        folder = package.replace(".", "/")
        paths |= {f"{folder}/{file.name}" for file in (ROOT / folder).glob("*.py")}
    return paths


@dataclass(frozen=True)
class Archives:
    """The built wheel and the names of the files in wheel and sdist."""

    wheel: Path
    in_wheel: set[str]
    in_sdist: set[str]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """Build the sdist and, from it, the wheel, of a copy of the tree."""
    tree = tmp_path_factory.mktemp("tree") / "nmhw"
    out = tmp_path_factory.mktemp("dist")
    skipped = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")
    shutil.copytree(ROOT, tree, symlinks=True, ignore=skipped)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(tree)],
        check=True,
        capture_output=True,
        text=True,
    )
    (wheel,) = out.glob("*.whl")
    (sdist,) = out.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    return Archives(wheel, in_wheel, in_sdist)


@pytest.fixture(scope="module")
def site(archives: Archives, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel alone into a folder outside the tree."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(archives.wheel)], check=True)
    return target


def run_installed(site: Path, *arguments: str) -> str:
    """Run Python outside the tree with the installed wheel in front; return its output."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_package_list_equals_the_folders_with_an_init_file() -> None:
    listed = SETUPTOOLS["packages"]
    assert len(listed) == len(set(listed))
    assert set(listed) == packages_in_tree()


def test_every_folder_with_python_files_is_a_package() -> None:
    folders = {file.parent for name in ("nmhw", *LINKED) for file in (ROOT / name).glob("**/*.py")}
    bare = [
        str(folder.relative_to(ROOT))
        for folder in folders
        if not (folder / "__init__.py").is_file()
    ]
    assert not bare, f"add __init__.py to {bare} and the package to pyproject.toml"


def test_constraints_pin_exact_versions() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert "torch==2.13.0" in pins
    assert all(line.count("==") == 1 and not set(line) & set("+@/ ") for line in pins)


def test_every_declared_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines}
    extras = PROJECT["project"]["optional-dependencies"].values()
    declared = [*PROJECT["project"]["dependencies"], *(need for extra in extras for need in extra)]
    names = {need.partition(">=")[0].lower() for need in declared}
    assert {name for name in names if not name.startswith("nmhw[")} <= pinned


@pytest.mark.parametrize("name", LINKED)
def test_link_is_relative(name: str) -> None:
    link = ROOT / "nmhw" / name
    assert link.is_symlink()
    assert os.readlink(link) == f"../{name}"


@pytest.mark.parametrize("name", LINKED)
def test_bare_import_from_the_root_is_refused(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"import nmhw.{name}" in done.stderr.splitlines()[-1]


def test_tests_are_no_packages() -> None:
    assert not list((ROOT / "tests").glob("**/__init__.py"))


def test_wheel_holds_one_top_level_package(archives: Archives) -> None:
    tops = {name.partition("/")[0] for name in archives.in_wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"nmhw"}


def test_wheel_holds_every_python_file_once(archives: Archives) -> None:
    assert {name for name in archives.in_wheel if name.endswith(".py")} == files_in_tree()


def test_wheel_holds_the_data_files(archives: Archives) -> None:
    chips = {f"nmhw/hwconfigs/{file.name}" for file in (ROOT / "hwconfigs").glob("*.toml")}
    data = {
        f"nmhw/data/{file.name}"
        for file in (ROOT / "nmhw" / "data").iterdir()
        if file.suffix not in (".py", "") and not file.name.startswith(".")
    }
    assert {"nmhw/py.typed", *chips, *data} <= archives.in_wheel


def test_sdist_keeps_the_layout_without_a_second_copy(archives: Archives) -> None:
    needed = {"pyproject.toml", "LICENSE", "sim/__init__.py", "mappers/__init__.py"}
    assert needed <= archives.in_sdist
    assert not {
        name for name in archives.in_sdist if name.startswith(("nmhw/sim/", "nmhw/mappers/"))
    }


def test_installed_wheel_adds_no_generic_names(site: Path) -> None:
    names = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"nmhw", "bin"}


def test_installed_wheel_is_complete_without_the_tree(site: Path) -> None:
    code = "import nmhw, nmhw.sim, nmhw.mappers, nmhw.hwconfigs as h; print(h.__file__)"
    assert run_installed(site, "-c", code).strip() == str(site / "nmhw/hwconfigs/__init__.py")


def test_installed_wheel_runs_the_demo(site: Path) -> None:
    report = json.loads(run_installed(site, "-m", "nmhw", "demo", "--samples", "4", "--json"))
    assert report["fits"] is True
    assert report["n_samples"] == 4
