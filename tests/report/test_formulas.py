"""Docstrings with their formulas, as a page shows them."""

import pytest

import regularizers
from bench.config import plugins
from bench.report.formulas import mathml, to_html


@pytest.mark.parametrize("name", regularizers.names())
def test_every_formula_of_a_docstring_is_typeset(name):
    doc = plugins.declared("regularizers", name).doc
    html = to_html(doc)
    assert html.count("<math") == doc.count("$$") // 2 + doc.replace("$$", "").count("$") // 2
    assert "\\" not in html
    assert "$" not in html


def test_text_and_code_are_escaped_and_bad_tex_is_shown_as_it_is():
    assert to_html("a < b & `x<y`") == "<p>a &lt; b &amp; <code>x&lt;y</code></p>"
    assert mathml(r"a_b_c < d") == r"<code>a_b_c &lt; d</code>"
    assert "<mfrac>" in mathml(r"\frac{a}{b}")
