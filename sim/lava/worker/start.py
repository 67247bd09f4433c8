"""Entry of the child: ``python start.py FOLDER`` does the job that lies in FOLDER."""

import sys

if __name__ == "__main__":
    from nmhw_lava.job import main

    sys.exit(main(sys.argv[1]))
