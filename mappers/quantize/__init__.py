"""Quantize: a network and a profile to the integers of one chip, or a refusal by name."""

from __future__ import annotations

from nmhw.mappers.quantize.contract import ALLOWABLE
from nmhw.mappers.quantize.quantizer import make_explicit, quantize_network

__all__ = ["ALLOWABLE", "make_explicit", "quantize_network"]
