"""Mapping: a network and a chip to a quantized, split, packed, placed and routed network."""

if __name__ == "mappers":
    raise ImportError(
        "the folder mappers/ is the package nmhw.mappers; write 'import nmhw.mappers'"
    )
