"""BibTeX for what a config uses.

The methods, the data sets and the evaluations of the config, as entries of regularizers/references.bib.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path

import regularizers
from bench.config.schema import Config
from bench.data.sources import NAMES
from bench.tables import published

REFERENCES = Path(regularizers.__file__).parent / "references.bib"

# Where the numbers of an evaluation are defined or criticised.
EVALUATIONS = {"likelihood": ("breuleux2011", "theis2016"), "ais": ("wu2017",)}
SUITE = ("makhzani2015",)


@cache
def entries(path: Path = REFERENCES) -> dict[str, str]:
    """Each entry of a BibTeX file by its key, as it is written there."""
    text = path.read_text(encoding="utf-8")
    return {m[1]: m[0].strip() for m in re.finditer(r"^@\w+\{([^,\s]+),.*?^\}", text, re.DOTALL | re.MULTILINE)}


def field(key: str, name: str) -> str:
    """A field of an entry without TeX's braces and accents; empty if it has none."""
    match = re.search(rf"^\s*{name}\s*=\s*[{{\"](.*?)[}}\"],?\s*$", entries()[key], re.DOTALL | re.MULTILINE)
    return plain(match[1]) if match else ""


ACCENTS = {'\\"': "\u0308", "\\'": "\u0301", "\\`": "\u0300", "\\~": "\u0303", "\\^": "\u0302", "\\v": "\u030c"}


def plain(text: str) -> str:
    """TeX as plain text."""
    text = re.sub(r"(\\[\"'`~^]|\\v\s*)\{?\\?([a-zA-Z])\}?", lambda m: m[2] + ACCENTS[m[1].strip()], text)
    text = text.replace(r"\l{}", "ł").replace(r"\l", "ł").replace("---", "—").replace("--", "–")
    text = re.sub(r"\\url\{(.*?)\}", r"\1", text)
    return unicodedata.normalize("NFC", " ".join(re.sub(r"[{}]", "", text).split()))


def reference(key: str) -> dict[str, str]:
    """An entry for readers: who, year, title, where, and a link if it has an arXiv number or a URL."""
    authors = [name.partition(",")[0] for name in field(key, "author").split(" and ")]
    who = (
        authors[0]
        if len(authors) == 1
        else f"{authors[0]} & {authors[1]}"
        if len(authors) == 2
        else f"{authors[0]} et al."
    )
    where = field(key, "booktitle") or field(key, "journal") or field(key, "howpublished") or field(key, "institution")
    arxiv, doi = field(key, "eprint"), field(key, "doi")
    link = f"https://arxiv.org/abs/{arxiv}" if arxiv else f"https://doi.org/{doi}" if doi else field(key, "url")
    return {
        "key": key,
        "who": who,
        "year": field(key, "year"),
        "title": field(key, "title"),
        "where": where,
        "link": link,
    }


def keys(config: Config) -> dict[str, list[str]]:
    """What a config uses → the keys to cite for it, in the config's order."""
    found: dict[str, list[str]] = {"The suite's experiments": list(SUITE)}
    for experiment, content in config.experiments.items():
        for method in content["methods"]:
            s = published.settings(config, experiment, method)
            found.setdefault(f"Data set {s.dataset}", list(NAMES[s.dataset].cite))
            cites = list(regularizers.load(s.regularizer).cites)
            if cites:
                found.setdefault(f"Regularizer {s.regularizer}", cites)
            for evaluation in s.evaluations:
                if evaluation in EVALUATIONS:
                    found.setdefault(f"Evaluation {evaluation}", list(EVALUATIONS[evaluation]))
    return found


def bibtex(config: Config) -> str:
    """The entries, each once, each under a comment that says what it is cited for.

    Raises:
        LookupError: references.bib has no entry of a key.
    """
    lines, seen = [], set()
    for what, cited in keys(config).items():
        lines.append(f"% {what}: {', '.join(cited)}")
        for key in cited:
            if key not in entries():
                raise LookupError(f"{REFERENCES.name} has no entry {key!r}, which {what.lower()} cites")
            if key not in seen:
                lines.append(entries()[key])
                seen.add(key)
        lines.append("")
    return "\n".join(lines)
