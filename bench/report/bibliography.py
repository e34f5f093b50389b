"""BibTeX for what a config uses.

The methods, the data sets and the evaluations of the config, as entries of regularizers/references.bib, or of the
references.bib beside a plug-in of another package.
"""

from contextlib import suppress
from functools import cache
from pathlib import Path

from pybtex.database import Entry, parse_file
from pybtex.exceptions import PybtexError
from pylatexenc.latex2text import LatexNodes2Text

from bench import ROOT
from bench.config import plugins
from bench.config.reading import ConfigError
from bench.config.registry import module, name_of, said
from bench.config.schema import Config
from bench.data import declarations
from bench.records.fingerprint import source
from bench.tables.tidy_table import settings

REFERENCES = ROOT / "regularizers/references.bib"
# Where the numbers of an evaluation are defined or criticised.
EVALUATIONS = {"likelihood": ("breuleux2011", "theis2016"), "ais": ("wu2017",)}
SUITE = ("makhzani2015",)


@cache
def entries(path: Path = REFERENCES) -> dict[str, Entry]:
    """Each entry of a BibTeX file by its key; none where there is no such file.

    Raises:
        ConfigError: it is no BibTeX.
    """
    if not path.exists():
        return {}
    try:
        return dict(parse_file(str(path), bib_format="bibtex", encoding="utf-8").entries)
    except (PybtexError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def known(config: Config) -> dict[str, Entry]:
    """The entries that a config can cite: the suite's own, and those that its plug-ins bring."""
    found = {}
    used = [s for e, content in config.experiments.items() for m in content["methods"] if (s := settings(config, e, m))]
    plug_ins = [("regularizers", s.regularizer) for s in used] + [("datasets", name_of(s.dataset)) for s in used]
    for kind, name in dict.fromkeys(plug_ins):
        with suppress(Exception):  # to look for a package's file runs its own code; the plug-in's section says so
            found |= entries(source(module(kind, name)).with_name(REFERENCES.name))
    return found | entries()


@cache
def plain(tex: str) -> str:
    """TeX as plain text."""
    return " ".join(LatexNodes2Text().latex_to_text(tex).replace("<http", "http").replace(">", "").split())


def reference(key: str, entry: Entry) -> dict[str, str]:
    """An entry for readers: who, year, title, where, and a link if it has an arXiv number, a DOI or a URL."""
    names = [plain(" ".join((*p.prelast_names, *p.last_names))) for p in entry.persons.get("author", [])]
    field = {name.lower(): plain(value) for name, value in entry.fields.items()}
    where = next((field[f] for f in ("booktitle", "journal", "howpublished", "institution") if f in field), "")
    link = field.get("url", "")
    if "eprint" in field:
        link = f"https://arxiv.org/abs/{field['eprint']}"
    elif "doi" in field:
        link = f"https://doi.org/{field['doi']}"
    who = " & ".join(names) if len(names) < 3 else f"{names[0]} et al."
    year, title = field.get("year", ""), field.get("title", "")
    return {"key": key, "who": who, "year": year, "title": title, "where": where, "link": link}


def keys(config: Config) -> dict[str, list[str]]:
    """What a config uses → the keys to cite for it, in the config's order; a plug-in that cannot be read has none."""
    found: dict[str, list[str]] = {"The suite's experiments": list(SUITE)}
    for experiment, content in config.experiments.items():
        for method in content["methods"]:
            s = settings(config, experiment, method)
            if s is None:
                continue
            with suppress(declarations.DataError):  # own data, which are not here
                if cited := declarations.declaration(s.dataset).cite:
                    found.setdefault(f"Data set {said(s.dataset)}", list(cited))
            own = plugins.signature("regularizers", s.regularizer)
            if own and (cited := own.attributes.get("cites")):
                found.setdefault(f"Regularizer {s.regularizer}", list(cited))
            for evaluation in s.evaluations:
                if evaluation in EVALUATIONS:
                    found.setdefault(f"Evaluation {evaluation}", list(EVALUATIONS[evaluation]))
    return found


def to_bibtex(key: str, entry: Entry) -> str:
    """An entry as BibTeX, its values as they were written."""
    people = {role: " and ".join(map(str, persons)) for role, persons in entry.persons.items()}
    lines = [f"  {name} = {{{value}}}," for name, value in (people | dict(entry.fields)).items()]
    return "\n".join([f"@{entry.original_type}{{{key},", *lines, "}"])


def bibtex(config: Config) -> str:
    """The entries, each once, each under a comment that says what it is cited for; a key without an entry says so."""
    lines, seen, at_hand = [], set(), known(config)
    for what, cited in keys(config).items():
        lines.append(f"% {what}: {', '.join(cited)}")
        for key in cited:
            if key not in seen:
                lines.append(to_bibtex(key, at_hand[key]) if key in at_hand else f"% {key} is in no {REFERENCES.name}")
                seen.add(key)
        lines.append("")
    return "\n".join(lines)
