"""The example of the usual CIFAR form runs, in under ten lines, and names what is not exact."""

import importlib.util
import inspect
from pathlib import Path

import pytest

PATH = Path(__file__).parents[3] / "examples" / "cifar_form_two_chips.py"


def test_the_way_to_two_chips_names_every_approximation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = importlib.util.spec_from_file_location("examples_cifar_form", PATH)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    lines = inspect.getsource(script.main).splitlines()
    way = [line for line in lines[lines.index(next(n for n in lines if "#" in n)) + 1 :] if line]
    assert len(way) < 10
    script.main()
    text = " ".join(capsys.readouterr().out.split())
    for chip in ("loihi1-nahuku", "spinnaker2"):
        report = text.partition(f"on {chip} ")[2]
        assert report
        for rule in (
            "torch.batch-norm", "torch.max-pool", "torch.dropout", "input-stage.host",
            "quantize.weights", "torch.checked",
        ):  # fmt: skip
            assert f"[{rule}]" in report, (chip, rule)
