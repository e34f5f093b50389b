"""The regularizers at hand that can be loaded, and packages that bring plug-ins."""

import contextlib
import sys
from collections.abc import Iterator

import regularizers
from bench.config import plugins, registry


def loaded() -> dict[str, type[regularizers.Regularizer]]:
    """The classes, by name: of those that cannot be loaded, their own tests say why, and no other test fails."""
    found = {}
    for name in regularizers.names():
        with contextlib.suppress(Exception):
            found[name] = regularizers.load(name)
    return found


@contextlib.contextmanager
def installed(monkeypatch, folder, name: str, text: str, entries: str) -> Iterator[None]:
    """Within: an installed package of one module, with the entry points of its `entry_points.txt`."""
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(entries, encoding="utf-8")
    with monkeypatch.context() as patched:
        patched.syspath_prepend(folder)
        forget()
        yield
    sys.modules.pop(name, None)
    forget()


def forget() -> None:
    """What was learnt of plug-ins."""
    for function in (registry.installed, plugins.names, plugins.declared, plugins._built, plugins._declared):
        function.cache_clear()
