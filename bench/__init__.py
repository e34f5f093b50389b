"""The benchmark: eight rooms in the order of the pipeline, and one front door."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
