"""What could crash or hang, tried in a process of its own: `python -m bench.door.probes torch|keops|data [NAME]`."""

import json
import sys
from collections.abc import Callable


def torch() -> str:
    """Its version and devices, as JSON."""
    import torch

    devices = []
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = (n // 2**20 for n in torch.cuda.mem_get_info(i))
        architecture = "sm_{}{}".format(*torch.cuda.get_device_capability(i))
        torch.ones(2, device=i).sum().item()
        devices.append(f"{torch.cuda.get_device_name(i)}, {architecture}, {free:,} of {total:,} MB free")
    return json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "devices": devices})


def keops() -> str:
    """Compiles a formula and compares its sums."""
    import torch
    from pykeops.torch import LazyTensor

    x = torch.arange(6.0).reshape(3, 2)
    found = ((LazyTensor(x[:, None]) - LazyTensor(x[None])) ** 2).sum(-1).sum(1).flatten()
    if not torch.allclose(found, torch.tensor([40.0, 16.0, 40.0])):
        raise ArithmeticError(f"sums wrongly: {found.tolist()} instead of 40, 16, 40")
    return "compiles, and sums rightly"


def data(name: str) -> str:
    """Whether a data set is here and of its checksums; nothing is fetched."""
    from bench.data import sources
    from bench.data.verified_files import DataError, checksum, root_folder

    source, root = sources.NAMES[name], root_folder()

    def absent(*_) -> None:
        raise DataError("not here: the first run that wants it fetches it")

    sources.download = absent
    try:
        if not source.large:
            source.read(root, source.pins, **source.options)
        elif not source.pins:
            sources.digest(name, root)
        for file, pin in source.pins.items() if source.large else ():
            there = [path for path in (root / file, root / name.upper() / file) if path.exists()]
            if not there:
                absent()
            if checksum(there[0], "md5") != pin:
                raise DataError(f"{there[0]}: not of its checksum: delete it, and the next run fetches it again")
    except DataError as error:
        return str(error) if source.pins else "not here: ask its owners for the file"
    return "every file has its checksum" if source.pins else "here; nobody has published a checksum"


PROBES: dict[str, Callable[..., str]] = {"torch": torch, "keops": keops, "data": data}

if __name__ == "__main__":
    said = PROBES[sys.argv[1]](*sys.argv[2:])
    print(f"\n{said}")
