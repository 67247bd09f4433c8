"""Experiments that show a local rule learning, each against a control."""
