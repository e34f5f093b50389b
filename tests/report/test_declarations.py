"""What a plug-in says of itself is read from its source, whatever state that is in."""

import inspect

import pytest

import regularizers
from bench.report import declarations
from bench.report.declarations import Unreadable, declaration
from bench.report.formulas import mathml, to_html


@pytest.mark.parametrize("name", regularizers.names())
def test_the_source_says_what_the_class_says(name):
    declared, cls = declaration(name), regularizers.load(name)
    assert declared.doc == inspect.getdoc(cls)
    assert declared.cites == cls.cites
    parameters = inspect.signature(cls).parameters
    known = {n: p.default for n, p in parameters.items() if p.default is not inspect.Parameter.empty}
    assert {n: eval(text) for n, text in declared.defaults.items()} == known


@pytest.mark.parametrize("text", ["class Broken(", "x = 1\n", "\0"], ids=["syntax", "no class", "no text"])
def test_a_broken_plug_in_is_named_and_not_run(tmp_path, monkeypatch, text):
    (tmp_path / "regularizers").mkdir()
    (tmp_path / "regularizers/broken.py").write_text(text)
    monkeypatch.setattr(declarations, "ROOT", tmp_path)
    declaration.cache_clear()
    with pytest.raises(Unreadable, match=r"broken\.py"):
        declaration("broken")
    declaration.cache_clear()


def test_a_plug_in_that_is_nowhere_is_named():
    with pytest.raises(Unreadable, match="nowhere"):
        declaration("nowhere")


@pytest.mark.parametrize("name", regularizers.names())
def test_every_formula_of_a_docstring_is_typeset(name):
    html, doc = to_html(declaration(name).doc), declaration(name).doc
    assert html.count("<math") == doc.count("$$") // 2 + doc.replace("$$", "").count("$") // 2
    assert "\\" not in html
    assert "$" not in html


def test_text_and_code_are_escaped_and_bad_tex_is_shown_as_it_is():
    assert to_html("a < b & `x<y`") == "<p>a &lt; b &amp; <code>x&lt;y</code></p>"
    assert mathml(r"a_b_c < d") == r"<code>a_b_c &lt; d</code>"
    assert "<mfrac>" in mathml(r"\frac{a}{b}")
