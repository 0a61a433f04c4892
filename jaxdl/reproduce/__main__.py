"""Command `python -m jaxdl.reproduce runs/.../result.json [--out DIR] [--experiments DIR]`."""

import sys

from jaxdl.runs.reproduce import main

if __name__ == "__main__":
    sys.exit(main())
