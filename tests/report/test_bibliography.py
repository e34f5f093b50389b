"""Citations: read by a library, shown as plain text, written as they were."""

import re
from contextlib import suppress

import pytest
from pybtex.database import parse_string

from bench.config.reading import ConfigError, load
from bench.config.registry import names
from bench.data.declarations import DataError, declaration
from bench.report import bibliography

ENTRIES = {
    "one line": (
        r"@article{k, author={M{\"u}ller, J{\'o}zef}, title={Foo \& Bar}, year=2020}",
        "Müller",
        "Foo & Bar",
    ),
    "indented": (
        "  @misc{k,\n    author = {Sz{\\'e}kely, G.},\n    title = {50\\% of {\\ss}},\n    year = 1999 }",
        "Székely",
        "50% of ß",
    ),
    "quotes": (
        '@book{k, author="van den Oord, A{\\"a}ron and Fo{\\o}, B and Li, C", title="A -- b", year="2001"}',
        "van den Oord et al.",
        "A – b",
    ),
}


@pytest.mark.parametrize(("text", "who", "title"), ENTRIES.values(), ids=list(ENTRIES))
def test_an_entry_in_any_layout_is_plain_text(text, who, title):
    found = bibliography.reference("k", parse_string(text, "bibtex").entries["k"])
    assert (found["who"], found["title"]) == (who, title)
    assert not re.search(r"[{}\\]", "".join(found.values()))


@pytest.mark.parametrize("text", [e[0] for e in ENTRIES.values()], ids=list(ENTRIES))
def test_an_entry_is_written_with_its_own_values(text):
    entry = parse_string(text, "bibtex").entries["k"]
    written = bibliography.to_bibtex("k", entry)
    again = parse_string(written, "bibtex").entries["k"]
    assert dict(again.fields) == dict(entry.fields)
    assert [str(p) for p in again.persons["author"]] == [str(p) for p in entry.persons["author"]]


def test_every_reference_of_the_suite_can_be_read():
    for key, entry in bibliography.entries().items():
        found = bibliography.reference(key, entry)
        assert found["who"], key
        assert found["title"], key
        assert re.fullmatch(r"\d{4}", found["year"]), key
        assert not re.search(r"[{}\\]", "".join(found.values())), found


def test_a_config_cites_what_it_uses_and_nothing_else():
    text = bibliography.bibtex(load("config/quick.yaml"))
    for key in ("makhzani2015", "goodfellow2014", "gretton2012", "kingma2014vae", "alpaydin1998", "breuleux2011"):
        assert len(re.findall(rf"^@\w+{{{key},", text, re.MULTILINE)) == 1, key
    assert "netzer2011" not in text
    assert text.count("{") == text.count("}")


def test_a_citation_without_an_entry_is_named_in_its_place(monkeypatch):
    monkeypatch.setattr(bibliography, "SUITE", ("nobody1999", "makhzani2015"))
    text = bibliography.bibtex(load("config/quick.yaml"))
    assert "% nobody1999 is in no references.bib\n@misc{makhzani2015," in text
    assert "goodfellow2014" in text


@pytest.mark.parametrize("name", names("datasets"))
def test_what_a_data_set_cites_has_an_entry(name, tmp_path):
    """(What a regularizer cites: tests/regularizers.)"""
    with suppress(DataError):  # own data, which cite nothing
        assert {*declaration(name, tmp_path).cite} <= {*bibliography.entries()}


def test_a_file_that_is_no_bibtex_is_one_line(tmp_path):
    path = tmp_path / "references.bib"
    path.write_text("@article{k, title = {a}, year")
    with pytest.raises(ConfigError, match=r"references\.bib") as caught:
        bibliography.entries(path)
    assert "\n" not in str(caught.value)
