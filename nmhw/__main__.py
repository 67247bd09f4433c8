"""``python -m nmhw``: the same command line as ``nmhw``."""

from nmhw.cli.main import main

if __name__ == "__main__":
    main(prog_name="nmhw")
