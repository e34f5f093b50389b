"""The benchmark: eight rooms in the order of the pipeline, and one front door."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Where Snakefile, config/ and requirements.lock are: beside the code in a checkout, elsewhere once it is installed.
SHARE = ROOT if (ROOT / "Snakefile").exists() else Path(sys.prefix) / "share/latentbench"
