"""Start a regularizer: its file from the template beside this one, and what is left to do."""

import keyword
import re
from pathlib import Path

from bench.config import plugins
from bench.config.layers import ConfigError
from bench.config.values import NO_NAMES

TEMPLATE, NEXT = (Path(__file__).with_suffix(end).read_text(encoding="utf-8") for end in (".py.txt", ".next.txt"))


def begin(name: str, folder: Path) -> str:
    """Write the new file `folder`/`name`.py, from the template, and say what comes next.

    Raises:
        ConfigError: the name is not possible, or taken by a regularizer at hand or a file.
    """
    path = folder / f"{name}.py"
    taken = {*plugins.names("regularizers"), *(p.stem for p in folder.glob("*.py"))}
    if not re.fullmatch("[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name) or name in NO_NAMES:
        said = "a name has a to z, 0 to 9 and _, begins with a letter and is no word of Python or YAML"
        raise ConfigError(f"{name!r}: {said}")
    if name in taken:
        raise ConfigError(f"{name!r} is taken; there are {', '.join(sorted(taken))}")
    title = name.replace("_", " ").capitalize()
    text = TEMPLATE.format(title=title, cls=name.title().replace("_", ""))
    path.write_text(text, encoding="utf-8")
    return NEXT.format(path=path.relative_to(folder.parent), name=name, title=title)
