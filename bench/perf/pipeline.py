"""How the time of a whole pipeline grows with methods, seeds, images and cores, and what starting costs.

python -m bench.perf pipeline [--sizes 1 2 4] [--cores 1 2] [--quick] [--json FILE]

Each point is one `snakemake` from nothing to the report, in a copy of the program: the likelihood of
digits as the quick benchmark trains it, without control rows, one job a method. Methods, seeds and
training images are multiplied by each of the sizes while the others stay at 1 method (2 where cores
are counted), 1 seed and the digits; images are counted with 2,000 random ones of 48 x 48 pixels. With
a JSON file, the picture lies beside it. Wall time is at the mercy of other load; processor time, of
all processes, is less so.

`--quick` runs the whole quick benchmark, some minutes, for the share of its training and evaluation
jobs that is spent on starting: interpreter, imports and data.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.io
import seaborn as sns
import yaml

from bench import config as configs
from bench.drawing import STYLE, canvas, save
from bench.fingerprint import ROOT
from bench.perf.clone import Clone, Cost
from bench.perf.timing import machine, write

METHODS = ("ae", "mmd", "vae", "aae", "energy", "sliced_wasserstein", "cramer_wold", "sigreg", "wae_mmd", "mmd_rbf")
FACES = {"dataset": "tfd", "width": 500, "epochs": 4, "evaluations": ["reconstruction"]}
IMAGES = 2000


def faces(folder: Path, n: int) -> None:
    """`n` random training images and 200 others in the layout of the Toronto Face Database, the one free in size."""
    folder.mkdir()
    random = np.random.default_rng(0)
    part = np.repeat([0, 1, 2, 3], [n - 100, 100, 100, 100]).astype(np.uint8)
    scipy.io.savemat(
        folder / "TFD_48x48.mat",
        {
            "images": random.integers(0, 256, (len(part), 48, 48), dtype=np.uint8),
            "labs_ex": random.integers(1, 8, (len(part), 1)),
            "labs_id": np.arange(len(part))[:, None],
            "folds": np.repeat(part[:, None], 5, 1),
        },
    )


def points(sizes: list[int], cores: list[int]) -> list[dict]:
    """What is run: the axis, the factor, and the numbers that it changes."""
    base = {"methods": 1, "seeds": 1, "cores": 1, "images": 0}
    found = [{"axis": axis, "factor": f, **base, axis: f} for axis in ("methods", "seeds") for f in sizes]
    found += [{"axis": "images", "factor": f, **base, "images": f * IMAGES} for f in sizes]
    return found + [{"axis": "cores", "factor": c, **base, "methods": 2, "cores": c} for c in cores]


def content(name: str, root: Path, point: dict) -> dict:
    """The config of a point: the likelihood of the quick benchmark, with what the point changes."""
    quick = configs.read_yaml(ROOT / "config" / "quick.yaml")
    likelihood = {"methods": list(METHODS[: point["methods"]])} | (FACES if point["images"] else {})
    own = {"name": name, "only": ["likelihood"], "controls": False, "batch_by": "method", "seeds": point["seeds"]}
    own |= {"data_root": str(root), "experiments": {"likelihood": likelihood}}
    return {key: quick[key] for key in ("extends", "preset", "defaults")} | own


def measure(clone: Clone, point: dict) -> Cost:
    """One pipeline from nothing."""
    name = f"{point['axis']}_{point['factor']}"
    root = clone.folder / name
    if point["images"]:
        faces(root, point["images"])
    (clone.folder / "config" / f"{name}.yaml").write_text(yaml.safe_dump(content(name, root, point), sort_keys=False))
    return clone.snakemake(f"config/{name}.yaml", "--cores", str(point["cores"]))


def draw(rows: list[dict], path: Path) -> None:
    """A panel for each axis, from zero: what does not grow is what every pipeline costs."""
    table = pd.DataFrame(rows).melt(["axis", "factor"], ["wall", "processor"], "time", "seconds")
    with sns.plotting_context("paper"), sns.axes_style(rc=STYLE):
        figure, axes = canvas(7.5, 2.3, 1, 4, sharey=True)
        for ax, (axis, part) in zip(axes, table.groupby("axis", sort=False), strict=True):
            sns.lineplot(part, x="factor", y="seconds", hue="time", style="time", markers=True, ax=ax)
            label = f"images, × {IMAGES:,}" if axis == "images" else axis
            ax.set(xlabel=label, xticks=sorted(part["factor"].unique()), ylim=(0, None))
            ax.get_legend().set_title(None) if axis == "methods" else ax.get_legend().remove()
    save(figure, path)


def start_up(clone: Clone) -> dict[str, float]:
    """Processor seconds until a job begins its work, by program, imports and data; the median of three."""
    # The first optimizer of a process imports torch's compiler.
    load = "from bench import data; data.load('digits')"
    codes = {
        "bench.train": f"import torch, bench.train; {load}; torch.optim.SGD([torch.zeros(1)], 0.1)",
        "bench.evaluate": f"import bench.evaluate; {load}",
    }
    return {m: statistics.median(clone.run("-c", code).processor for _ in range(3)) for m, code in codes.items()}


def quick(clone: Clone, cores: int, starts: dict[str, float]) -> dict:
    """The quick benchmark, and the share of its jobs that is spent on starting."""
    clone.forget()
    cost = clone.snakemake("config/quick.yaml", "--cores", str(cores))
    jobs = {module: clone.programs()[module] for module in starts}
    spent = sum(sum(seconds) for seconds in jobs.values())
    starting = sum(len(jobs[module]) * start for module, start in starts.items())
    counts = {f"{module} jobs": len(seconds) for module, seconds in jobs.items()}
    row = {"axis": "quick benchmark", "cores": cores, **cost._asdict(), **counts}
    return row | {"processor seconds of jobs": spent, "start-up share": starting / spent}


def run(arguments: list[str]) -> None:
    """The program; see the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.perf pipeline", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--quick", action="store_true", help="the quick benchmark too")
    parser.add_argument("--json", type=Path, help="write the rows here, and the picture beside")
    a = parser.parse_args(arguments)
    print(" | ".join(f"{k} {v}" for k, v in machine().items()))
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder) / "clone")
        starts = start_up(clone)
        print("to start: " + ", ".join(f"{m} {s:.2f} s" for m, s in starts.items()) + " of processor time")
        rows, done = [], {}
        print(f"{'axis':9}{'factor':>7}{'wall s':>9}{'processor s':>13}")
        for point in points(a.sizes, a.cores):
            key = tuple(point[name] for name in ("methods", "seeds", "images", "cores"))
            done[key] = done.get(key) or measure(clone, point)
            rows.append(point | done[key]._asdict())
            print(
                f"{point['axis']:9}{point['factor']:7}{rows[-1]['wall']:9.1f}{rows[-1]['processor']:13.1f}", flush=True
            )
        if a.json:
            draw(rows, a.json)
        rows.append({"axis": "start", **starts})
        if a.quick:
            rows.append(quick(clone, max(a.cores), starts))
            print(", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in rows[-1].items()))
        write(a.json, rows)
