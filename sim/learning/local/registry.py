"""Local rules by name, from installed packages and from files."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from nmhw.errors import InputError, NmhwError, UsageError
from nmhw.sim.learning.local.hebbian import SoftHebb
from nmhw.sim.learning.local.rule import LearningRule
from nmhw.sim.learning.local.sdsp import Sdsp
from nmhw.sim.learning.local.stdp import PairStdp, RewardStdp, TripletStdp
from nmhw.sim.learning.local.sum_of_products import SumOfProducts
from nmhw.sim.learning.local.third_factor import Decolle, DeltaRule, Drtp, EProp, Pes
from nmhw.values.learning import RuleSpec

ENTRY_POINT_GROUP = "nmhw.learning_rules"

LOCAL_RULES: Mapping[str, type[LearningRule]] = {
    "stdp": PairStdp,
    "r-stdp": RewardStdp,
    "triplet-stdp": TripletStdp,
    "sum-of-products": SumOfProducts,
    "sdsp": Sdsp,
    "e-prop": EProp,
    "drtp": Drtp,
    "decolle": Decolle,
    "pes": Pes,
    "delta": DeltaRule,
    "soft-hebb": SoftHebb,
}


def local_rule(name: str, /, **parameters: Any) -> LearningRule:
    """Return a built-in local rule with some of its parameters overridden.

    Raises
    ------
    UsageError
        For an unknown rule or parameter.
    """
    key = name.strip().lower().replace("_", "-")
    if key not in LOCAL_RULES:
        raise UsageError("no such local rule", got=repr(name), hint="one of " + _known_names())
    return _make(LOCAL_RULES[key], key, parameters)


def load_rule(text: str, /, **parameters: Any) -> LearningRule:
    """Return a rule by name, from an installed package, a file or a module.

    Parameters
    ----------
    text : str
        A built-in name; the name of an entry point of the group ``nmhw.learning_rules``;
        ``path/to/my.py:MyRule``; or ``package.module:MyRule``.
    **parameters
        Passed to the class.

    Raises
    ------
    UsageError, InputError
        For a name, file or class that does not exist, a class that is no `LearningRule`, has no
        `RuleSpec`, or cannot be made without further parameters. An own module's errors are named
        with their type and line.
    """
    if ":" in text:
        place, _, name = text.rpartition(":")
        module = _run_file(place) if place.endswith(".py") else _import(place, text)
        if not hasattr(module, name):
            known = [n for n, v in vars(module).items() if _is_rule_class(v)]
            raise InputError("no such class in the file", got=repr(name), where=place,
                             hint=", ".join(known) or "define a subclass of LearningRule",
                             rule="learn.own-rule")  # fmt: skip
        return _make(getattr(module, name), text, parameters)
    if text.strip().lower().replace("_", "-") in LOCAL_RULES:
        return local_rule(text, **parameters)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == text:
            return _make(run_own_code(point.load, point.value), text, parameters)
    raise UsageError(
        "no such learning rule", got=repr(text),
        hint="one of " + _known_names() + ", or my.py:MyRule", rule="learn.no-such-rule",
    )  # fmt: skip


def _known_names() -> str:
    installed = [point.name for point in entry_points(group=ENTRY_POINT_GROUP)]
    return ", ".join([*LOCAL_RULES, *installed])


def _is_rule_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, LearningRule) and value is not LearningRule


def _make(found: Any, where: str, parameters: Mapping[str, Any]) -> LearningRule:
    """Return an instance whose spec is a RuleSpec."""
    if not (_is_rule_class(found) or isinstance(found, LearningRule)):
        raise InputError(
            "a rule is a subclass of nmhw.sim.learning.local.LearningRule",
            got=type(found).__name__ if not isinstance(found, type) else found.__name__,
            where=where, rule="learn.own-rule",
        )  # fmt: skip
    rule = found
    if isinstance(found, type):
        names = [f.name for f in fields(found) if f.init] if is_dataclass(found) else None
        unknown = sorted(set(parameters) - set(names)) if names is not None else []
        if unknown:
            raise UsageError("a rule has no such parameter", got=", ".join(unknown), where=where,
                             hint=", ".join(names or ()) or "it has none")  # fmt: skip
        if is_dataclass(found):
            _check_parameters(found, parameters, where)
        rule = run_own_code(lambda: found(**parameters), where)
    spec = getattr(rule, "spec", None)
    if not isinstance(spec, RuleSpec):
        raise InputError("the rule has no spec", got=type(spec).__name__, limit="a RuleSpec",
                         where=where, hint="spec = RuleSpec(name, title, equation, ...)",
                         rule="learn.own-rule")  # fmt: skip
    return rule


def _check_parameters(found: type, parameters: Mapping[str, Any], where: str) -> None:
    """Name parameters that are missing, or are no numbers where the class has numbers."""
    for f in fields(found):
        if not f.init:
            continue
        if f.name not in parameters:
            if f.default is MISSING and f.default_factory is MISSING:
                raise UsageError("the rule needs a parameter", got="nothing", limit=f.name,
                                 where=where, hint=f"--set {f.name}=...")  # fmt: skip
            continue
        value = parameters[f.name]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if f.type in ("float", "int", float, int) and not (is_number and math.isfinite(value)):
            raise UsageError(f"{f.name} is a finite number", got=repr(value), where=where)


def _run_file(place: str) -> ModuleType:
    path = Path(place)
    if not path.is_file():
        raise InputError("no such file", got=place, hint="path/to/my.py:MyRule",
                         rule="learn.own-rule")  # fmt: skip
    name = f"nmhw_own_rule_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:  # pragma: no cover - a .py file always has one
        raise InputError("not a Python file", got=place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    run_own_code(lambda: spec.loader.exec_module(module), place)  # type: ignore[union-attr]
    return module


def _import(place: str, text: str) -> ModuleType:
    return run_own_code(lambda: importlib.import_module(place), text)


def run_own_code(action: Any, where: str) -> Any:
    """Run code of the rule's author; name its errors as an input's."""
    try:
        return action()
    except NmhwError:
        raise
    except Exception as error:
        line = _last_line(error)
        raise InputError("the rule's own code failed", got=f"{type(error).__name__}: {error}{line}",
                         where=where, rule="learn.own-rule") from error  # fmt: skip


def _last_line(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f" (line {trace.tb_lineno})"
