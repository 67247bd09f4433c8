"""Lava backend: mapped networks and learning as processes of lava-nc 0.10.0, in a child."""
