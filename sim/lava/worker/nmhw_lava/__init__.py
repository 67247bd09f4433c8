"""What runs beside lava-nc in the child interpreter: standard library, NumPy and lava only."""
