"""Execution: a quantized network and its mapping to spikes, states and event counts."""

if __name__ == "sim":
    raise ImportError("the folder sim/ is the package nmhw.sim; write 'import nmhw.sim'")
