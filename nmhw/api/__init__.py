"""The public face: load, deploy, run, compare, reopen. ``nmhw`` exports the names lazily."""
