"""Lava processes and their models, alone here: lava's compiler executes every file it finds."""
