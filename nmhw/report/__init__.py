"""Rendering of results: text, tables, pages and comparisons."""
