"""``import nmhw`` is fast and its public names agree with the modules behind them."""

import json
import resource
import subprocess
import sys
from importlib import import_module

import pytest

import nmhw

HEAVY = {"numba", "torch", "scipy", "matplotlib", "h5py", "nir", "pydantic", "jinja2", "numpy"}


def modules_after(code: str) -> set[str]:
    """Return the top-level modules a fresh interpreter holds after running ``code``."""
    report = "import json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_nmhw_loads_no_heavy_module() -> None:
    loaded = modules_after("import nmhw")
    assert "nmhw" in loaded
    assert not loaded & HEAVY


def test_help_loads_no_heavy_module() -> None:
    code = "from nmhw.cli.main import main\nassert main(['--help']) == 0"
    loaded = modules_after(code)
    assert "click" in loaded
    assert not loaded & HEAVY


def test_help_takes_under_0_4_seconds_of_processor_time() -> None:
    times_s = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "nmhw", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times_s) < 0.4


def test_every_public_name_resolves_to_the_module_it_is_listed_under() -> None:
    for name, module_name in nmhw._MODULE_OF_NAME.items():
        assert getattr(nmhw, name) is getattr(import_module(module_name), name)


def test_dir_lists_the_public_names() -> None:
    assert set(nmhw.__all__) <= set(dir(nmhw))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        nmhw.nonsense  # noqa: B018


def test_a_missing_module_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(nmhw._MODULE_OF_NAME, "ghost", "nmhw.no_such_module")
    with pytest.raises(AttributeError, match=r"nmhw\.ghost .* nmhw\.no_such_module is missing"):
        nmhw.ghost  # noqa: B018
