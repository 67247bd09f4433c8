"""Local learning rules: one interface, built-in rules, own rules, and the engine that runs them."""

from nmhw.sim.learning.local.engine import LocalEngine
from nmhw.sim.learning.local.layer import LocalLayer, LocalNeuron
from nmhw.sim.learning.local.registry import LOCAL_RULES, load_rule, local_rule
from nmhw.sim.learning.local.rule import Activity, LearningRule, Update
from nmhw.sim.learning.local.rule_check import CheckRow, check_rule

__all__ = [
    "LOCAL_RULES", "Activity", "CheckRow", "LearningRule", "LocalEngine", "LocalLayer",
    "LocalNeuron", "Update", "check_rule", "load_rule", "local_rule",
]  # fmt: skip
