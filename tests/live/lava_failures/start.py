"""Entry of a child with one more kind of job: ``python start.py FOLDER``."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    if os.environ.get("NMHW_TEST_NUMPY"):  # a folder with another NumPy
        sys.path.insert(0, os.environ["NMHW_TEST_NUMPY"])
    sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "sim" / "lava" / "worker"))
    from nmhw_lava.job import main

    sys.exit(main(sys.argv[1], {"break": "failing_job"}))
