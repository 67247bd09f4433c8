"""Form of a layer on a convolution core: kernel, stride, padding, pool, sizes, channels.

Each check yields one sentence that names the layer, the value and what the chip has. ``form`` is
the parameters of a rule ``layer-form``; what it does not state is not checked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from nmhw.values.linear import Conv, Pool

Form = Mapping[str, Any]


def check_convolution(where: str, op: Conv, form: Form) -> Iterator[str]:
    """Yield where a convolution leaves its limits."""
    yield from outside(where, "kernel", set(op.weight.shape[2:]), form["kernels"])
    yield from outside(where, "stride", set(op.stride), form.get("strides"))
    yield from outside(where, "input channels", {op.in_shape[0]}, form.get("input_channels"))
    yield from over(where, "padding", max(op.padding), form)
    yield from over(where, "input size", max(op.in_shape[1:]), form)
    yield from over(where, "output size", max(op.out_spatial), form)
    yield from over(where, "channels", max(op.in_shape[0], op.weight.shape[0]), form)
    least = form.get("min_input_size")
    if least is not None and min(op.in_shape[1:]) < least:
        yield f"{where!r}: input size {min(op.in_shape[1:])}, at least {least}"
    if form.get("is_plain"):
        yield from _check_plain(where, op)


def check_pool(where: str, pools: tuple[Pool, ...], form: Form) -> Iterator[str]:
    """Yield where the pools in front of a convolution are not one that the chip has."""
    if form.get("is_plain"):
        for pool in pools:
            if pool.kernel[0] != pool.kernel[1] or pool.stride != pool.kernel or any(pool.padding):
                kernel, stride = (f"{a} x {b}" for a, b in (pool.kernel, pool.stride))
                yield (
                    f"{where!r}: pool {kernel} with stride {stride} and padding "
                    f"{max(pool.padding)}, the chip has squares side by side (rule layer-form)"
                )
                return
    sizes = {1}
    for axis in (0, 1):
        joint = 1
        for pool in pools:
            joint *= pool.kernel[axis]
        sizes.add(joint)
    yield from outside(where, "pool", sizes, form.get("pools"))


def check_pool_order(
    where: str, pools: tuple[Pool, ...], checks: Collection[str], *, before_kernel: bool
) -> Iterator[str]:
    """Yield what is wrong with pools and the weights behind them; ``checks`` are a rule's names.

    A pool over the whole map (global pooling) may end in any weights.
    """
    for pool in pools:
        kernel, stride = (f"{a} x {b}" for a, b in (pool.kernel, pool.stride))
        height, width = pool.in_shape[1:]
        if is_global(pool):
            if "three-rows-before-global-pool" in checks and height < 3:
                yield (
                    f"{where!r}: global pool over {height} x {width}, at least 3 rows "
                    "(three-rows-before-global-pool)"
                )
            continue
        outruns = any(s > k for s, k in zip(pool.stride, pool.kernel, strict=True))
        if "pool-stride-within-pool" in checks and outruns:
            yield (
                f"{where!r}: pool {kernel} with stride {stride}, limit stride {kernel} "
                "(pool-stride-within-pool)"
            )
        if "convolution-after-pool" in checks and not before_kernel:
            yield (
                f"{where!r}: weights that are no convolution behind pool {kernel} "
                "(convolution-after-pool)"
            )


def is_global(pool: Pool) -> bool:
    """Whether a pool covers the whole of a map with more than one element."""
    return pool.kernel == tuple(pool.in_shape[1:]) and pool.kernel != (1, 1)


def _check_plain(where: str, op: Conv) -> Iterator[str]:
    kh, kw = op.weight.shape[2:]
    if kh != kw:
        yield f"{where!r}: kernel {kh} x {kw}, the chip has square ones (rule layer-form)"
    if op.padding[0] != op.padding[1] or op.padding[2] != op.padding[3]:
        sides = ", ".join(map(str, op.padding))
        yield f"{where!r}: padding {sides}, the chip pads opposite sides alike (rule layer-form)"
    if max(op.dilation) > 1:
        yield f"{where!r}: dilation {max(op.dilation)}, the chip has 1 (rule layer-form)"
    if op.groups > 1:
        yield f"{where!r}: {op.groups} groups, the chip has 1 (rule layer-form)"


def outside(where: str, what: str, values: set[int], allowed: list[int] | None) -> Iterator[str]:
    """Yield a sentence for every value that is not among the allowed ones."""
    for value in sorted(values):
        if allowed is not None and value not in allowed:
            listed = ", ".join(str(a) for a in allowed)
            yield f"{where!r}: {what} {value}, the chip has {listed} (rule layer-form)"


def over(where: str, what: str, value: int, form: Form) -> Iterator[str]:
    """Yield a sentence where a value is above the limit of its name."""
    limit = form.get("max_" + what.replace(" ", "_"))
    if limit is not None and value > limit:
        yield f"{where!r}: {what} {value:,}, limit {limit:,} (rule layer-form)"
