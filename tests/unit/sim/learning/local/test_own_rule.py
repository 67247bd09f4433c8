"""Own rules: loading, refusals with clear errors, and what check_rule finds."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmhw.errors import InputError, NmhwError, UsageError
from nmhw.sim.learning.local import (
    LOCAL_RULES,
    LearningRule,
    LocalEngine,
    LocalLayer,
    check_rule,
    load_rule,
    local_rule,
    registry,
)
from nmhw.values.learning import RuleSpec, WeightFormat

OWN = Path(__file__).resolve().parents[5] / "examples/own_rule.py"


def failed(rule: LearningRule) -> dict[str, str]:
    return {row.name: row.detail for row in check_rule(rule) if not row.passed}


def test_the_example_passes_every_check() -> None:
    rows = check_rule(load_rule(f"{OWN}:OjaRule"))
    assert [row.name for row in rows if not row.passed] == []
    assert any("on_post: largest" in row.detail for row in rows)


def test_the_example_prefers_sources_that_are_active_together() -> None:
    rule = load_rule(f"{OWN}:OjaRule", decay=0.5)
    rng = np.random.default_rng(0)
    layer = LocalLayer("l", 6, 1, rule=rule)
    for use_compiled in (False, True):
        engine = LocalEngine([layer], [np.full((6, 1), 0.4)], WeightFormat(None),
                             learning_rate=0.1, use_compiled=use_compiled)  # fmt: skip
        for _ in range(60):
            together = rng.random((40, 1)) < 0.3
            apart = rng.random((40, 3)) < 0.1
            pre = np.hstack([np.repeat(together, 3, axis=1), apart]).astype(float)
            engine.run(pre)
        w = engine.weights[0][:, 0]
        assert w[:3].min() > 3 * w[3:].max()


@pytest.mark.parametrize("name", sorted(LOCAL_RULES))
def test_every_built_in_rule_passes_every_check(name: str) -> None:
    parameters: dict[str, Any] = {}
    if name == "sum-of-products":
        parameters = {"dw": "2^-2*x1*y0 - 2^-3*x0*y1", "x1": (1.0, 9.0), "y1": (1.0, 9.0)}
    assert failed(load_rule(name, **parameters)) == {}


def test_compiled_twins_agree_with_other_parameters_too() -> None:
    assert failed(local_rule("stdp", soft=1.0, w_min=-2.0, w_max=1.7, offset=0.2)) == {}
    assert failed(local_rule("sdsp", ca_low=0.4, ca_up=1.5, ca_down=1.1, w_min=-1, w_max=1)) == {}


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(text)
    return path


HEAD = """
import numpy as np
from nmhw.sim.learning.local import LearningRule, Update
from nmhw.values.learning import RuleSpec
"""


def test_a_missing_file_class_or_name_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_rule(f"{tmp_path}/none.py:Rule")
    path = own(tmp_path, HEAD + "class Mine(LearningRule):\n    spec = RuleSpec('a', '', '')\n")
    with pytest.raises(InputError, match=r"no such class.*'Other'.*Mine"):
        load_rule(f"{path}:Other")
    with pytest.raises(UsageError, match=r"no such learning rule.*stdp"):
        load_rule("stdpp")
    with pytest.raises(InputError, match="ModuleNotFoundError"):
        load_rule("no_such_package.rules:Mine")


def test_a_class_without_spec_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = own(tmp_path, HEAD + "class Mine(LearningRule):\n    pass\nclass Other:\n    pass\n")
    with pytest.raises(InputError, match="no spec"):
        load_rule(f"{path}:Mine")
    with pytest.raises(InputError, match="subclass of"):
        load_rule(f"{path}:Other")


def test_errors_of_the_file_itself_carry_their_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ZeroDivisionError.*line 2"):
        load_rule(f"{own(tmp_path, 'a = 1' + chr(10) + '1 / 0')}:Mine")


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no such parameter.*decay_z.*decay_x"):
        local_rule("stdp", decay_z=1)


def test_a_trigger_that_is_not_defined_is_refused(tmp_path: Path) -> None:
    spec = "RuleSpec('a', '', '', triggers=('on_pre',))"
    text = HEAD + f"class Mine(LearningRule):\n    spec = {spec}\n"
    rule = load_rule(f"{own(tmp_path, text)}:Mine")
    with pytest.raises(UsageError, match="triggers that it does not define"):
        LocalEngine([LocalLayer("l", 2, 2, rule=rule)], [np.zeros((2, 2))], WeightFormat())


def test_an_entry_point_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    value = "nmhw.sim.learning.local.third_factor:Pes"
    point = EntryPoint("mine", value, registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([point]))
    assert load_rule("mine").spec.name == "pes"
    with pytest.raises(NmhwError, match="mine"):
        load_rule("other")


class Leaky(LearningRule):
    """Remembers across samples, writes to its input, and miscounts its state."""

    spec = RuleSpec("leaky", "", "", pre_traces=2, triggers=("on_pre",))
    memory = np.zeros(1)

    def initial_state(self, n_in: int, n_out: int) -> Any:
        return (self.memory,)

    def on_pre(self, a: Any, s: Any) -> Any:
        s[0][0] += 1.0
        a.pre[:] = 1.0
        rows = np.arange(a.pre.size)
        return rows, np.arange(a.post.size), np.ones((rows.size, a.post.size))


def test_check_rule_finds_what_is_wrong() -> None:
    found = failed(Leaky())
    assert "1 words (limit 2" in found["state words match the spec"]
    assert "changes pre" in found["activity is left unchanged"]
    assert "same arrays" in found["a fresh sample forgets the last"]


class Different(LearningRule):
    """Its compiled form is another rule."""

    spec = RuleSpec("different", "", "", triggers=("on_post",))

    def on_post(self, a: Any, s: Any) -> Any:
        cols = np.flatnonzero(a.post)
        return np.arange(a.pre.size), cols, np.ones((a.pre.size, cols.size))

    def doubled(self, a: Any, s: Any) -> Any:
        rows, cols, dw = Different.on_post(self, a, s)
        return rows, cols, 2 * dw

    compiled = {"on_post": doubled}  # type: ignore[assignment]  # noqa: RUF012


def test_check_rule_finds_a_compiled_form_that_differs() -> None:
    assert list(failed(Different())) == ["compiled == NumPy, step by step"]
