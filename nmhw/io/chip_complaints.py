"""From the schema's complaints to problems with key, value, reason and suggestion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from nmhw.io.chip_problems import Problem, suggest
from nmhw.io.chip_schema import ChipModel, find_complaints

Key = tuple[str | int, ...]


def find_schema_problems(document: Mapping[str, Any]) -> list[Problem]:
    """Return what the models refuse: unknown keys, missing keys, types, ranges, names."""
    return [_translate(complaint) for complaint in find_complaints(document)]


def _translate(complaint: Any) -> Problem:
    loc, kind, value = complaint["loc"], complaint["type"], complaint["input"]
    if loc and loc[-1] == "[key]":
        return Problem(loc[:-1], "unknown key", None, _choices(complaint), "chip.unknown-key")
    if kind == "extra_forbidden":
        shown = None if isinstance(value, dict) else value
        hint = suggest(loc[-1], _known_keys(loc[:-1]))
        return Problem(loc, "unknown key", shown, hint, "chip.unknown-key")
    if kind == "missing":
        return Problem(loc, "missing key", None, _describe(loc), "chip.missing-key")
    if kind in ("literal_error", "value_error"):
        hint = _choices(complaint)
        return Problem(loc, "not one of the allowed values", value, hint, "chip.choice")
    reason, rule = _reason(kind, complaint)
    return Problem(loc, reason, value, None, rule)


def _reason(kind: str, complaint: Any) -> tuple[str, str]:
    """Return (reason, rule) of a complaint about a value's type, range or length."""
    context, value, text = complaint.get("ctx", {}), complaint["input"], str(complaint["msg"])
    if kind == "finite_number":
        return "must be a finite number", "chip.not-finite"
    if kind in ("greater_than_equal", "greater_than"):
        bound = context.get("ge", context.get("gt"))
        if value < 0 and not bound:
            return "must not be negative", "chip.negative"
        word = "at least" if kind == "greater_than_equal" else "greater than"
        return f"must be {word} {bound:g}", "chip.range"
    if kind == "less_than_equal":
        return f"must be at most {context['le']}", "chip.range"
    if kind == "string_pattern_mismatch":
        return "must be lower-case letters, digits, '.', '_' or '-'", "chip.name"
    if kind in ("too_short", "too_long", "string_too_short"):
        return text.split(" after validation")[0].lower(), "chip.length"
    return f"wrong type: expected {text.removeprefix('Input should be ')}", "chip.type"


def _choices(complaint: Any) -> str | None:
    """Return the suggestion for a name that is not among the allowed ones."""
    context = complaint.get("ctx", {})
    if "expected" not in context:  # our own check of names has already made it
        return str(context.get("error", "")) or None
    listed = str(context["expected"]).replace(" or ", ", ").split(", ")
    return suggest(complaint["input"], [choice.strip("' ") for choice in listed])


def _model_at(key: Key) -> Any:
    """Return the model class of the table at ``key``, or None where keys are free names."""
    model: Any = ChipModel
    skip_name = False
    for part in key:
        if skip_name:
            skip_name = False
            continue
        if model is None or part not in model.model_fields:
            return None
        annotation = model.model_fields[part].annotation
        found = [a for a in (annotation, *_nested(annotation)) if _is_model(a)]
        skip_name = bool(found) and not _holds_directly(annotation)
        model = found[0] if found else None
    return None if skip_name else model


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and hasattr(annotation, "model_fields")


def _nested(annotation: Any) -> list[Any]:
    inner: list[Any] = []
    for argument in get_args(annotation):
        inner += [argument, *_nested(argument)]
    return inner


def _holds_directly(annotation: Any) -> bool:
    return _is_model(annotation) or (
        any(_is_model(a) for a in get_args(annotation) if a)
        and (getattr(annotation, "__origin__", None) not in (dict, list))
    )


def _known_keys(key: Key) -> list[str]:
    model = _model_at(key)
    return list(model.model_fields) if model is not None else []


def _describe(key: Key) -> str | None:
    model = _model_at(key[:-1])
    if model is None or key[-1] not in model.model_fields:
        return None
    text = model.model_fields[key[-1]].description
    return str(text) if text else None
