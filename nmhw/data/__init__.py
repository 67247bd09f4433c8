"""Data shipped with the package: a trained digits network and its images."""
