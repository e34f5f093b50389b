"""Start a regularizer: its file from a template, and what is left to do."""

import keyword
import re
from pathlib import Path

from bench.config import plugins
from bench.config.layers import ConfigError

TEMPLATE = '''"""{title} (cite the source: Author & Author, year)."""

from regularizers import Regularizer, rms, too_few


class {cls}(Regularizer):
    r"""One sentence: what is compared with what.

    $$a \\, \\|\\bar z - \\bar y\\|^2 / s^2, \\qquad y \\sim p$$

    with $s$ the prior's standard deviation per dimension. Then what each hyperparameter means in
    units of the latent space: `strength` is $a$, a plain factor. `forward` raises a ValueError for
    fewer than 2 codes.

    At weight 1: $a$ for codes whose mean is off by $s$. (Say the same in docs/regularizers.md.)
    """

    title = "{title}"
    cites = ()  # keys of references.bib, at least one

    def __init__(self, prior, strength: float = 1.0):
        super().__init__(prior)
        self.strength = strength

    def forward(self, codes, posterior):
        too_few(codes)
        y = self.prior.sample(len(codes))  # or its weights, means and covariances, without sampling
        return self.strength * ((codes.mean(0) - y.mean(0)) / rms(self.prior)).square().sum()
'''

ENTRY = """\
Wrote {path}. Now:

1. Write its formula, and cite its source in references.bib.
2. Test it: `pytest -k {name}` finds it by itself. The template compares means only, so the
   tests of scale errors and of `cites` fail until it is yours.
3. Add a method to the config, and its name to the `methods` of an experiment:

methods:
  {name}:
    title: {title}
    regularizer: {name}
"""


def write(name: str, folder: Path) -> Path:
    """The new file `folder`/`name`.py, from the template.

    Raises:
        ConfigError: the name is not possible, or taken by a regularizer at hand or a file.
    """
    path = folder / f"{name}.py"
    taken = {*plugins.names("regularizers"), *(p.stem for p in folder.glob("*.py"))}
    if not re.fullmatch("[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        raise ConfigError(f"{name!r}: a name has a to z, 0 to 9 and _, begins with a letter and is no word of Python")
    if name in taken:
        raise ConfigError(f"{name!r} is taken; there are {', '.join(sorted(taken))}")
    words = name.split("_")
    text = TEMPLATE.format(title=" ".join(words).capitalize(), cls="".join(word.capitalize() for word in words))
    path.write_text(text, encoding="utf-8")
    return path


def begin(name: str, folder: Path) -> str:
    """Write it, and say what comes next."""
    path = write(name, folder)
    title = name.replace("_", " ").capitalize()
    return ENTRY.format(path=path.relative_to(folder.parent), name=name, title=title)
