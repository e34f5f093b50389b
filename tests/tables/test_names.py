"""Titles and names of methods come out as they went in: CSV, JSON, YAML, Markdown, LaTeX, HTML, config and tables."""

import csv
import html
import io
import json
import re

import jinja2
import pandas as pd
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pylatexenc.latex2text import LatexNodes2Text

from bench.config.reading import check
from bench.tables import experiment_tables, tidy_table
from bench.tables.formats import Entry, Table, escape, to_csv, to_latex, to_markdown
from tests.support.tidy import tidy, write

ODD = [
    "$x_{$",
    "two $ of $",
    "a|b",
    "a\\|b",
    "**x**",
    "<b>&amp;",
    "a\nb",
    "a\rb",
    "null",
    "nan",
    "'",
    '"q", x',
    "σ × ½",
]
ODD += ["[1]", "*", "_x_", "a_b", "`c`", "~~d~~", "50 % & #1 {x} ^~\\", "é 中 😀", "=1+1", "-5", "(-5)", "  a  b "]
LATIN = st.characters(codec="latin-1", exclude_categories=["Cc", "Zs", "Cf"], exclude_characters="¬¦¤¸¯´¨¢¥¶§ªº°µ·¿¡")
titles = st.one_of(st.sampled_from(ODD), st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)


def cells(line):
    """The texts of a Markdown row: GitHub splits at bars without a backslash, and drops the backslashes."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", line.strip())[1:-1]
    return [re.sub(r"\\(.)", r"\1", part.strip()) for part in parts]


def config_of(name, title):
    content = {
        "name": "tiny", "defaults": {"dataset": "digits", "epochs": 1},
        "methods": {name: {"regularizer": "unregularized", "title": title}},
        "experiments": {
            "likelihood": {"methods": [name], "latents": {"z": {"dim": 2}}, "decoder": ["z"], "title": title,
                           "evaluations": ["reconstruction"]},
        },
    }  # fmt: skip
    content = yaml.safe_load(yaml.safe_dump(content))
    return check(content, [("test", content)])


@given(names, titles)
@settings(max_examples=150, deadline=None)
def test_a_title_comes_out_of_every_format_as_it_went_in(name, title):
    try:
        config = config_of(name, title)
    except ValueError:
        return  # said before anything runs
    shown = tidy_table.title(config, name)
    assert shown == " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", title).split()) or not title.strip()
    table = tidy({("likelihood", name, "reconstruction"): [1.0]})
    [content] = experiment_tables.experiment_tables(config, experiment_tables.summary(config, table), "likelihood")
    content = Table(content.name, content.caption, content.head, content.rows, content.notes)
    assert content.rows[0][0].text == shown
    rows = list(csv.reader(io.StringIO(to_csv(content), newline="")))
    assert [len(rows), rows[1][0]] == [2, shown]
    frame = pd.read_csv(io.StringIO(to_csv(content)), keep_default_na=False, dtype=str)
    assert frame.iloc[0, 0] == shown
    lines = [line for line in to_markdown(content).splitlines() if line.startswith("|")]
    assert len(lines) == 3
    assert cells(lines[2])[0] == shown
    page = jinja2.Environment(autoescape=True).from_string("<td>{{ t }}</td>").render(t=content.rows[0][0].text)
    assert html.unescape(page) == f"<td>{shown}</td>"
    assert json.loads(json.dumps(shown)) == yaml.safe_load(yaml.safe_dump({"t": shown}))["t"] == shown


@example(title="?`!`")
@given(st.one_of(st.sampled_from([t for t in ODD if "中" not in t]), st.text(LATIN, min_size=1, max_size=20)))
@settings(deadline=None)
def test_latex_says_what_the_title_says(title):
    read = LatexNodes2Text(math_mode="text", strict_latex_spaces=True).latex_to_text(escape(title))
    assert plain(read) == plain(title)


def plain(text):
    """Without blanks and the difference between a letter and its typographic form."""
    same = {"ˆ": "^", "˜": "~", "’": "'", "‘": "`", '"': "''", "”": "''", "“": "''", "−": "-", "‐": "-", "½": "1/2"}
    for form, letter in same.items():
        text = text.replace(form, letter)
    return "".join(text.split())


@example(title=" ")
@given(titles)
@settings(deadline=None)
def test_no_title_breaks_latex(title):
    text = escape(title)
    for symbol in "&%#_$":
        bare = re.sub(r"\$-\$", "", text)
        assert not re.search(rf"(?<!\\){re.escape(symbol)}", bare)
    whole = to_latex(Table("t", title, ["a", title], [[Entry(title, bold=True), Entry(title, level=True)]]))
    assert not re.search(r"\\\\\n\s*[\[*]", whole)
    assert whole.count("\n") == to_latex(Table("t", "x", ["a", "b"], [[Entry("c"), Entry("d")]])).count("\n")


@pytest.mark.parametrize("name", ["null", "nan", "na", "none", "inf", "true", "k-means, random encoder"])
def test_a_row_that_the_config_does_not_have_may_be_called_so(name, tmp_path):
    table = tidy({("likelihood", name, "reconstruction"): [1.0]})
    cells = experiment_tables.summary(config_of("own", "Own"), tidy_table.read_metrics(write(table, tmp_path)))
    assert cells["method"].tolist() == ["own", name]
    assert tidy_table.short(config_of("own", "Own"), name) == name[0].upper() + name[1:]
