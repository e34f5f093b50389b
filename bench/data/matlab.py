"""MATLAB files."""

from pathlib import Path

import numpy as np

from bench.data.verified_files import kind_of, wrong


def arrays(path: Path, names: tuple[str, ...], remedy: str) -> dict[str, np.ndarray]:
    """The arrays of a MATLAB file by name.

    Raises:
        DataError: it is no such file, or lacks an array.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=names)
    except Exception as error:  # a damaged file makes the parser fail in any way
        raise wrong(path, "a MATLAB file", f"{kind_of(path)} ({error!r})", remedy) from error
    if lacking := [name for name in names if name not in content]:
        raise wrong(path, f"the arrays {', '.join(names)}", f"no {', '.join(lacking)}", remedy)
    return {name: content[name] for name in names}
