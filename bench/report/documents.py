"""README.md, results/README.md and docs/findings: every number in them is written in from the tidy tables.

    At 100 labels the AAE errs by <!--{mean aae semi_supervised error}-->9.24 ± 1.75<!--{}--> %.

What stands between such a pair of comments is said by one of `ASKED`, which a comment names with its words; a first
word `@NAME` asks another result set than mnist. `<!--{claim mmd better aae likelihood log_likelihood}-->` says nothing
and must hold. `python -m bench.report.documents` writes all of them again, draws the pictures, and names what no longer
holds: after new results, run it and mend the sentences that it names.
"""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from bench import ROOT
from bench.figures import answer, images, scores, style
from bench.records import whole_files
from bench.report.quotations import ASKED, Known, known

FILES = ("README.md", "results/README.md", "docs/findings/*.md")
PICTURES = ROOT / "docs/pictures"
FIELD = re.compile(r"(<!--\{)((?!claim )[^}]+)(\}-->)(.*?)(<!--\{\}-->)", re.DOTALL)
CLAIM = re.compile(r"<!--\{claim ([^}]+)\}-->")
# A number that only a run or a paper can have said: decimals, a spread, per cents, nats. "95 %" is no result.
LOOSE = re.compile(r"(?<![\w.-])(?!95 %|3\.11)[+−]?\d[\d,.]*(?:\.\d+\b| ?±| %| nats\b| points\b| trainings\b)")


def parts(text: str) -> tuple[Known, list[str]]:
    """The result set and the words of what a comment asks."""
    words = shlex.split(text)
    name = words.pop(0).removeprefix("@") if words[0].startswith("@") else "mnist"
    return known(name), words


def written(text: str) -> str:
    """`text` with every field as the results have it.

    Raises:
        KeyError: what is asked is not there.
    """

    def one(match: re.Match) -> str:
        of, (asked, *rest) = parts(match[2])
        return f"{match[1]}{match[2]}{match[3]}{ASKED[asked](of, *rest)}{match[5]}"

    return FIELD.sub(one, text)


def wrong(text: str) -> Iterator[str]:
    """The claims of a document that do not hold, and its numbers that stand outside the comments."""
    for match in CLAIM.finditer(text):
        of, (method, word, *rest) = parts(match[1])
        if (found := of.verdict(method, *rest).word) != word:
            yield f"claim {match[1]}: it is {found}"
    plain = re.sub(r"```.*?```|`[^`\n]*`", "", FIELD.sub("", text), flags=re.DOTALL)
    # A comment that begins a line is a block of its own, and what follows it on the line is no Markdown.
    blocks = r" *<!--\{(?!(?:@\w+ )?(?:table|differences|collapses|orders|paper)|\})"
    lines = (line for line in text.split("\n") if re.match(blocks, line))
    yield from (f"a field begins a line: {line[:50]}" for line in lines)
    yield from (f"{match[0]!r}: a number that no result says" for match in LOOSE.finditer(plain))


def paths() -> list[Path]:
    """The documents."""
    return [path for pattern in FILES for path in sorted(ROOT.glob(pattern))]


def draw(folder: Path) -> None:
    """The pictures of the documents: the answer, light and dark, the seeds of two experiments, styles under labels."""
    of = known("mnist")
    answer.write(of.picture, folder)
    with style.own_style():
        for experiment in ("likelihood", "semi_supervised"):
            for drawing in scores.drawings(of.config, of.table, experiment, folder):
                style.save(drawing.draw(), folder / experiment, ("svg",))
        pictures = images.drawings(of.config, of.table, "semi_supervised", ROOT / "results/mnist")
        [drawing] = [found for found in pictures if found.name == "relabelled"]
        style.save(drawing.draw(), folder / drawing.name, ("png",))


def main() -> int:
    """Write every document again; 1 if something in one of them does not hold."""
    found = 0
    for path in paths():
        try:
            text = written(path.read_text(encoding="utf-8"))
        except KeyError as error:
            faults = [error.args[0]]
        else:
            whole_files.write(path, text)
            faults = [*wrong(text)]
        for line in faults:
            print(f"{path.relative_to(ROOT)}: {line}")
            found = 1
    draw(PICTURES)
    return found


if __name__ == "__main__":
    sys.exit(main())
