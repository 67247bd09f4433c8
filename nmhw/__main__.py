"""``python -m nmhw``: the same command line as ``nmhw``."""

import sys

from nmhw.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
