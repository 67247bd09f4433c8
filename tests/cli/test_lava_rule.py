"""``nmhw lava rule`` prints a call of Loihi2FLearningRule and what it approximates."""

import json

import pytest

from nmhw.cli.main import main

TRACES = ["--trace", "x1=16,10", "--trace", "y1=8,0"]


def test_the_call_is_python_with_its_approximations(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lava", "rule", "2^-3*x1*y1*u0", *TRACES, "--rate", "0.5"]) == 0
    text = capsys.readouterr().out
    call = text[text.index("Loihi2FLearningRule(") :]
    assert eval(call, {"Loihi2FLearningRule": dict}) == {
        "dw": "4*2^-3*x1*y1*u0", "t_epoch": 1,
        "x1_impulse": 16.0, "x1_tau": 10.0, "y1_impulse": 8.0, "y1_tau": 0.0,
    }  # fmt: skip
    assert "# dw: + 4*2^-3*x1*y1*u0 drops 3 bits" in text


def test_json_holds_every_product(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["x1*y0 - 2^-1*t*y0", *TRACES, "--tag", "x1*y0", "--json", "--epoch", "2"]
    assert main(["lava", "rule", *arguments]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["arguments"]["dt"] == "4*2^-2*x1*y0"
    assert record["arguments"]["t_epoch"] == 2
    assert [p["wanted"] for p in record["dw_products"]] == [1.0, -0.5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x1*y0", "--trace", "x1"], "NAME=IMPULSE,TAU"),
        (["x1*y0", "--trace", "z1=1,2"], "NAME=IMPULSE,TAU"),
        (["x1*y0", "--trace", "x1=nan,2"], "trace x1"),
        (["x1*y0"], "without an impulse"),
        (["x1*"], "expected a factor"),
        (["x1*y0", *TRACES, "--rate", "nan"], "rate"),
        (["x1*y0", *TRACES, "--rate", "inf"], "rate"),
        (["x1*y0", *TRACES, "--rate", "1e-9"], "no such scale"),
    ],
)
def test_what_makes_no_rule_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lava", "rule", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
