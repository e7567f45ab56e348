"""The program: ``slipher redshift FILES... -o catalogue.parquet``, or ``python -m slipher``."""

import signal
import sys

from . import _slipher


def main():
    """Runs the command line of this process and ends it with the program's exit code."""
    # Ctrl-C is the program's own: it ends in an orderly way.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_slipher.run(["slipher", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
