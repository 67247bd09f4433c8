"""A pace that the chip cannot keep is a warning, and follows the pace."""

from __future__ import annotations

from pathlib import Path

import nmhw


def _overruns(run: nmhw.Run) -> list[dict[str, object]]:
    return [n for n in run.summary()["notices"] if n["rule"] == "run.pace-overrun"]


def test_an_overrun_is_a_warning_and_stands_in_the_verdict(run: nmhw.Run, tmp_path: Path) -> None:
    fast = run.price(pace="period=1ns")
    assert fast.latency.overrun_steps > 0
    (notice,) = _overruns(fast)
    assert notice["kind"] == "warning"
    assert "longer than the pace period=1ns allows" in str(notice["text"])
    assert "slower than its pace" in " ".join(fast.report().split())
    again = nmhw.load_result(fast.save(tmp_path / "run"))
    assert again.summary() == fast.summary()
    assert not _overruns(again.price(pace="free"))


def test_a_pace_that_is_kept_has_no_warning(run: nmhw.Run) -> None:
    for pace in ("free", "period=1s"):
        assert not _overruns(run.price(pace=pace))
        assert "slower than its pace" not in run.price(pace=pace).report()
