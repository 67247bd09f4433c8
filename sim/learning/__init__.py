"""On-chip learning: gradient rules and local rules, with every operation counted.

``gradient_rule`` and ``network`` say what is trained, ``float_form`` is the specification in
float64 NumPy, ``event_walk`` the same touching events only, ``closed_forms`` what its counts equal.
"""
