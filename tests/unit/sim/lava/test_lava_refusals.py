"""What the Lava backend does not serve: exit code 2, before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nmhw.api.demo import deploy_demo, load_demo_images
from nmhw.api.lava_project import export_lava
from nmhw.cli.main import main
from nmhw.errors import LavaError, UsageError
from nmhw.sim.backends import run_backend
from nmhw.sim.lava.answer import compare_counts
from nmhw.sim.lava.install import choose_python, install_lava
from nmhw.sim.lava.place import STAMP


@pytest.fixture(autouse=True)
def no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NMHW_LAVA_PYTHON", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    status = main([*words, "--json", "-q"])
    record = json.loads(capsys.readouterr().out)
    assert record["exit_code"] == status == 2
    return record


def test_demo_without_an_environment(capsys: pytest.CaptureFixture[str]) -> None:
    record = run_json(capsys, "demo", "--backend", "lava", "--samples", "1")
    assert record["rule"] == "lava.missing"
    assert str(record["hint"]).startswith("nmhw lava install")


def test_status_without_an_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_json(capsys, "lava", "status")["rule"] == "lava.missing"


def test_chips_of_other_families(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("demo", "--backend", "lava", "--samples", "1", "--chip", "truenorth")
    record = run_json(capsys, *words)
    assert record["rule"] == "lava.family"
    assert record["limit"] == "loihi, generic, spinnaker2"


def test_runs_without_steps() -> None:
    deployed = deploy_demo("loihi1-nahuku")
    events = load_demo_images(1).events
    with pytest.raises(UsageError, match=r"Lava runs in steps.*lava\.timing"):
        run_backend(
            "lava", deployed.quantized, deployed.mapping, deployed.chip, events, timing="events"
        )


def test_counts_that_differ_are_refused_by_name() -> None:
    deployed = deploy_demo("loihi1-nahuku")
    counters = deployed.run(load_demo_images(2).events, compare_float=False).result.counters
    assert counters is not None
    counted = {
        "n_events": dict(counters.events_by_input),
        "n_spikes": dict(counters.spikes_by_population),
        "n_synops": dict(counters.synops_by_projection),
        "n_updates": {"lif1": counters.total("neuron.active")},
    }
    compare_counts(counters, counted, deployed.quantized)
    for kind in counted:
        name = next(iter(counted[kind]))
        wrong = {**counted, kind: {**counted[kind], name: counted[kind][name] + 1}}
        with pytest.raises(LavaError, match=rf"{kind} of .*counted other events.*lava\.counts"):
            compare_counts(counters, wrong, deployed.quantized)


def test_install_refuses_foreign_folders_and_old_pythons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    record = run_json(capsys, "lava", "install", "--folder", str(tmp_path / "mine"))
    assert record["rule"] == "lava.folder"
    assert (tmp_path / "mine" / "thesis.txt").exists()
    record = run_json(capsys, "lava", "install", "--python", "/bin/true")
    assert record["rule"] == "lava.python-version"
    record = run_json(capsys, "lava", "install", "--find-links", str(tmp_path / "none"))
    assert record["rule"] == "lava.links"
    with pytest.raises(UsageError, match=r"3\.10, 3\.11"):
        choose_python(tmp_path / "nothing")


def test_a_failed_install_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "env"
    folder.mkdir()
    (folder / STAMP).write_text("{}")
    assert install_lava(folder) == folder / "bin" / "python"  # already there
    (tmp_path / "wheels").mkdir()
    with pytest.raises(LavaError, match=r"cannot be made.*lava\.install"):
        install_lava(folder, find_links=[tmp_path / "wheels"], is_forced=True)
    assert (folder / STAMP).is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["env", "wheels"]


def test_export_writes_a_whole_project_and_replaces_nothing_else(tmp_path: Path) -> None:
    deployed = deploy_demo("loihi1-nahuku")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "network.json").write_text('{"my": "network"}')
    with pytest.raises(UsageError, match=r"no Lava project of nmhw.*output\.foreign-file"):
        export_lava(deployed, mine)
    out = tmp_path / "out"
    assert not export_lava(deployed, out)["has_input"]
    names = {path.name for path in out.iterdir()}
    assert names == {
        "README.md", "requirements.txt", "network.json", "network.npz", "run.py", "start.py",
        "nmhw_lava",
    }  # fmt: skip
    for path in out.glob("**/*.py"):
        assert "import nmhw\n" not in path.read_text()
        assert "from nmhw." not in path.read_text()
    x = (np.random.default_rng(0).random((2, 5, 64)) < 0.2).astype(np.int8)
    assert export_lava(deployed, out, x)["has_input"]  # replaces the earlier project
    assert {"input.npz", "expected.npz"} < {path.name for path in out.iterdir()}
    (out / "plot.py").write_text("mine")
    with pytest.raises(UsageError, match=r"did not write.*plot\.py.*output\.foreign-file"):
        export_lava(deployed, out, x)
    assert (out / "plot.py").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out"]
    with pytest.raises(UsageError, match=r"lava\.family"):
        export_lava(deploy_demo("truenorth"), tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_second_currents_are_not_there() -> None:
    with pytest.raises(UsageError, match=r"no second synaptic current.*sim\.synapse"):
        deploy_demo("generic").run(
            load_demo_images(1).events, backend="lava", probes=["lif1:u2"], compare_float=False
        )
