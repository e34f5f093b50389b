"""What could crash or hang, tried in a process of its own: `python -m bench.door.probes torch|keops|data [NAME]`."""

import sys


def torch() -> str:
    """Its version and devices."""
    import torch

    if not torch.cuda.is_available():
        return f"{torch.__version__}; no GPU answers, so everything runs on the processor"
    devices = []
    for i in range(torch.cuda.device_count()):
        free, total = (n // 2**20 for n in torch.cuda.mem_get_info(i))
        torch.ones(2, device=i).sum().item()
        devices.append(f"{torch.cuda.get_device_name(i)}, {free:,} of {total:,} MB free")
    return f"{torch.__version__}, CUDA {torch.version.cuda}: {'; '.join(devices)}"


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
    from bench.data import declarations, verified_files

    verified_files.OFFLINE = True
    source = declarations.declaration(name)
    try:
        source.read(source.checksums)
    except declarations.Absent:
        return f"not here: {'the first run that wants it fetches it' if source.checksums else 'ask its owners for it'}"
    return "every file has its checksum" if source.checksums else "here; nobody has published a checksum"


if __name__ == "__main__":
    said = {"torch": torch, "keops": keops, "data": data}[sys.argv[1]](*sys.argv[2:])
    print(f"\n{said}")
