"""Docstrings as HTML, their TeX as MathML, which browsers draw by themselves."""

import re

from latex2mathml.converter import convert
from markupsafe import Markup, escape

# Display formulas, inline formulas, code.
PIECES = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$|`(.+?)`", re.DOTALL)


def mathml(tex: str, display: bool = False) -> Markup:
    """A formula; as it is written where it cannot be read."""
    try:
        found = convert(tex.strip(), display="block" if display else "inline")
    except Exception:  # of many kinds, for TeX that the library does not know
        return Markup("<code>{}</code>").format(tex.strip())
    # What is wider than the screen scrolls, and is reached by the keyboard.
    return Markup(found.replace("<math ", '<math tabindex="0" ', 1) if display else found)


def to_html(text: str) -> Markup:
    """A docstring: its paragraphs, code and formulas."""

    def piece(match: re.Match) -> Markup:
        block, inline, code = match.groups()
        if code is not None:
            return Markup("<code>{}</code>").format(code)
        return mathml(block or inline, display=block is not None)

    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        content, at = Markup(), 0
        paragraph = " ".join(paragraph.split())
        for match in PIECES.finditer(paragraph):
            content += escape(paragraph[at : match.start()]) + piece(match)
            at = match.end()
        paragraphs.append(Markup("<p>{}</p>").format(content + escape(paragraph[at:])))
    return Markup("\n").join(paragraphs)
