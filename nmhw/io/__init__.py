"""Reading and writing: NIR graphs, chip files, event files, mappings and results."""
