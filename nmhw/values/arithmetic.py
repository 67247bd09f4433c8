"""The integer (and float32) cell of every chip family, written once in NumPy.

This file is the specification: mappers, quantization-aware training and ``sim/reference.py`` call
it; the Numba kernels are its independent twin. One step of a population, all arithmetic in int64:

1.  ``x = (summed input) << input_shift`` (the caller has applied each projection's own shift).
2.  current: ``u = decay(u) + x + u_bias``; ``u_decay == "clear"`` forgets the old u. Then u
    overflows at ``u_bits``: "saturate" to +-(2^(b-1) - 1); "wrap" as lava-nc's fixed_pt model:
    u > 2^(b-1) loses 2^b, u <= -2^(b-1) gains 2^b, once.
3.  ``reset_delay == 1``: the spikes of this step are those of the old v, and the reset is applied
    to the old v before step 4.
4.  membrane: ``v = decay(v) + u + v_bias``, then lower bound ``v_min``, then overflow at
    ``v_bits``: "saturate" to +-(2^(b-1) - 1), "wrap" as above.
5.  ``reset_delay == 0``: n = 1 where v > threshold (or >=), 0 where refractory; with
    ``max_spikes_per_step`` m > 1: n = number of thresholds v passes, at most m (">" : 
    ceil(v / threshold) - 1; ">=" : floor(v / threshold)).
6.  reset where n > 0: "zero": 0, "value": v_reset, "subtract": v - n * threshold, "none": v.
7.  refractory: after a spike, ``refractory_steps`` steps in which v stays at its reset value (no
    decay, no input) and nothing fires; u runs on.

``decay``: "none" x; "clear" 0; "mulshift" x * keep / 2^decay_bits rounded toward zero or floored;
"shift" x - (x >> keep), floor. float32 cells (SpiNNaker2): u = u_keep u + u_gain x,
v = v_keep v + v_gain u + drive, each operation rounded to float32 in exactly that order
((keep * state) first, then (gain * input), then the sum, then + drive).

References
----------
lava-nc 0.10.0, ``proc/lif`` and ``proc/dense`` (BSD-3-Clause): rules 1, 2, 4-6 for Loihi.
Davies et al., "Loihi", IEEE Micro 38(1), 2018, doi:10.1109/MM.2018.112130359.
"""
