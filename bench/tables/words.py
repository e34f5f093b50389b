"""The words of the report: config/report.yaml, which says what is asked, what is shown and what a reader must know."""

from functools import cache

import yaml

from bench import SHARE

PATH = SHARE / "config/report.yaml"


@cache
def words() -> dict:
    """The content of config/report.yaml."""
    return yaml.safe_load(PATH.read_text(encoding="utf-8"))


def several(found: list[str]) -> str:
    """'a, b and c'."""
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)
