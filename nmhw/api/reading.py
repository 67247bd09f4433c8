"""Reading networks and chips, and giving a network its discrete meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nmhw.errors import UsageError
from nmhw.values.chip import ChipSpec
from nmhw.values.network import Network
from nmhw.values.notice import Notice
from nmhw.values.profile import Profile

#: NIR's own words are z = v > v_threshold and v := v_reset; with Euler steps that is this preset.
DEFAULT_PROFILE = "snntorch"

_DOUBTS = ("tau-in-steps", "tau-microseconds")


def load(
    path: str | Path,
    profile: Profile | str | None = None,
    *,
    dt_s: float | None = None,
    **overrides: Any,
) -> Network:
    """Read a NIR file and give it a meaning.

    Parameters
    ----------
    path : path
        A ``.nir`` file.
    profile : Profile or str, optional
        Preset name; without one, NIR's own definitions in Euler steps (= ``snntorch``), noted.
    dt_s : float, optional
        Step in seconds; inferred where the file proves it.
    **overrides
        Fields of Profile, e.g. ``reset="subtract"``.

    Returns
    -------
    Network
        With ``profile`` and ``notices`` filled in.

    Raises
    ------
    NirError
        For a file that is not valid NIR.
    ProfileError
        For a profile that is unknown or incomplete.
    """
    from nmhw.io.nir_read import read_nir

    if not isinstance(path, str | Path):
        raise UsageError("this takes the path of a .nir file", got=repr(path))
    return give_meaning(read_nir(path), profile, dt_s=dt_s, **overrides)


def give_meaning(
    network: Network,
    profile: Profile | str | None = None,
    *,
    dt_s: float | None = None,
    **overrides: Any,
) -> Network:
    """Return the network with its profile resolved (dt, presets, overrides); see ``load``."""
    from nmhw.values.discretize import infer_dt, resolve_profile

    notices = list(network.notices)
    chosen = profile or network.profile
    if chosen is None:
        chosen = DEFAULT_PROFILE
        text = (
            "no profile given: Euler steps, spike on v > threshold, v := v_reset in the same step"
        )
        hint = "--profile NAME if the network was trained otherwise"
        notices.append(Notice("profile.default", network.name, text, "assumption", hint))
    resolved = resolve_profile(network, chosen, dt_s, **overrides)
    if resolved.dt_s is not None and resolved.step_s is None:
        text = (
            "dt is 1 or more: time is counted in steps, so there is no real-time pace and no rate"
        )
        notices.append(Notice("profile.dt-in-steps", network.name, text, "assumption"))
    if network.profile is None or dt_s is not None:
        notices.extend(infer_dt(network, resolved if dt_s is not None else None)[1])
    return replace(network, profile=resolved, notices=_without_repeats(notices, resolved.dt_s))


def _without_repeats(notices: Sequence[Notice], dt_s: float | None) -> tuple[Notice, ...]:
    """Keep one doubt about the time constants per population, and none that dt has settled.

    The reader (``nir.*``) looks at every field of the file, the profile (``profile.*``) at every
    equation; both may see that time is counted in steps. The profile's hint names the option.
    """
    doubts: dict[tuple[str, str], Notice] = {}
    for notice in notices:
        key = _doubt(notice)
        if key and (key not in doubts or _is_nir(doubts[key]) > _is_nir(notice)):
            doubts[key] = notice
    settled = "tau-in-steps" if dt_s is not None and dt_s >= 1 else ""
    kept = [n for n in dict.fromkeys(notices) if not (key := _doubt(n)) or doubts[key] is n]
    return tuple(n for n in kept if not settled or not n.rule.endswith(settled))


def _is_nir(notice: Notice) -> bool:
    return notice.rule.startswith("nir.")


def _doubt(notice: Notice) -> tuple[str, str] | None:
    """Return (kind of doubt, population) for what two rules say alike."""
    kind = notice.rule.partition(".")[2]
    if kind not in _DOUBTS:
        return None
    return kind, notice.about


def chip(name: str | Path) -> ChipSpec:
    """Return a chip by name (``nmhw chips`` lists them) or from a ``.toml`` file.

    Raises
    ------
    ChipFileError
        For an unknown name or a file that breaks the schema, all problems at once.
    """
    from nmhw.io.chip_file import load_chip

    return load_chip(name)
