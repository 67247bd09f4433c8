"""Install every oracle of ``oracles.toml`` into ``.live/<name>``; what cannot be had is noted.

Run by ``make test-live``. An environment is rebuilt when its recipe or the Python version changes.
A failure never stops the build: its reason lands in ``.live/<name>/unavailable.txt``, the tests
print it as their skip reason, and the next run tries again.
"""

import hashlib
import importlib
import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECIPES = Path(__file__).with_name("oracles.toml")
TIMEOUT_S = 900


def fingerprint(recipe: dict[str, Any]) -> str:
    """Return a hash of what the environment is made from."""
    text = json.dumps([recipe, sys.version_info[:2]], sort_keys=True)
    if "installer" in recipe:
        text += Path(str(importlib.import_module(recipe["installer"]).__file__)).read_text()
    return hashlib.sha256(text.encode()).hexdigest()


def run(command: list[str]) -> None:
    """Run a command; raise RuntimeError with its last line of output when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"no answer within {TIMEOUT_S} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()]
        raise RuntimeError((errors or lines or [f"exit status {done.returncode}"])[-1].strip())


def share_packages(own: Path) -> None:
    """Let an environment see this one's packages behind its own."""
    paths = sysconfig.get_paths()
    shared = dict.fromkeys((paths["purelib"], paths["platlib"]))
    (own / "shared.pth").write_text("".join(f"{path}\n" for path in shared))


def build(folder: Path, recipe: dict[str, Any]) -> None:
    """Make the environment afresh; raise RuntimeError with the reason when that fails."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version not in recipe["python"]:
        raise RuntimeError(f"needs Python {' or '.join(recipe['python'])}, this is {version}")
    if recipe.get("installer"):
        install = importlib.import_module(recipe["installer"]).install_lava
        try:
            install(folder / "env", python=sys.executable)
        except Exception as error:
            raise RuntimeError(str(error)) from error
        return
    run([sys.executable, "-m", "venv", str(folder / "env")])
    python = str(folder / "env" / "bin" / "python")
    if recipe.get("shares"):
        share_packages(folder / "env" / "lib" / f"python{version}" / "site-packages")
    for arguments in recipe["pip"]:
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments])
    run([python, "-c", recipe["check"]])


def main() -> None:
    """Build what is missing and say what is there; names on the command line choose some."""
    recipes = tomllib.loads(RECIPES.read_text())
    for name in sys.argv[1:] or recipes:
        recipe = recipes[name]
        folder = ROOT / ".live" / name
        stamp = folder / "ready.txt"
        if stamp.is_file() and stamp.read_text() == fingerprint(recipe):
            print(f"live oracle {name}: {recipe['title']} (cached)", flush=True)
            continue
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"live oracle {name}: installing {recipe['title']}", flush=True)
        try:
            build(folder, recipe)
        except RuntimeError as reason:
            (folder / "unavailable.txt").write_text(f"{reason}\n")
            print(f"live oracle {name}: not available: {reason}", flush=True)
        else:
            stamp.write_text(fingerprint(recipe))


if __name__ == "__main__":
    main()
