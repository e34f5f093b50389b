"""Figures from stored codes: samples, reconstructions, styles, manifolds, and the codes on their prior."""

from functools import partial
from pathlib import Path

import pandas as pd

from bench.config.schema import Config
from bench.data.sources import NAMES
from bench.figures.codes import load
from bench.figures.images import PICTURES, SAMPLES, panels, strips
from bench.figures.planes import POINTS, plane, scatters, test_labels
from bench.figures.style import Drawing, LeftOut, Look, digest
from bench.tables.tidy_table import title


def drawings(
    config: Config, table: pd.DataFrame, experiment: str, runs: Path, see: dict[str, Look]
) -> list[Drawing | LeftOut]:
    """The figures of an experiment that need stored codes; each left out where a run's codes are not there."""
    name = title(config, experiment, "experiments")
    found, missing, digests = load(config, table, experiment, runs)
    if not found or missing:
        why = "are not kept with the results" if not found else f"of {', '.join(missing)} are not there"
        kinds = ("samples", "reconstructions", *PICTURES, "latents")
        return [LeftOut("pictures", f"{name}: samples, grids and codes are not shown, because the codes {why}.", kinds)]
    source = NAMES[found[0].settings.dataset]
    make = partial(_drawing, name, digests, config)
    items: list[Drawing | LeftOut] = []
    with_samples = [c for c in found if "samples" in c.arrays]
    if with_samples:
        items.append(
            make(
                "samples", "Samples of the model",
                f"Decoded samples, {SAMPLES} for each method: the first ones, not chosen.",
                with_samples, partial(strips, with_samples, "samples", None, source.shape, config),
            )
        )  # fmt: skip
    with_both = [c for c in found if "reconstructions" in c.arrays]
    if with_both:
        items.append(
            make(
                "reconstructions", "Reconstructions",
                "First row: the first test images. Below, each method's reconstruction of them.",
                with_both, partial(strips, with_both, "reconstructions", "originals", source.shape, config),
            )
        )  # fmt: skip
    for kind, picture in PICTURES.items():
        having = [c for c in found if kind in c.arrays]
        if having:
            draw = partial(panels, having, kind, source.shape, config)
            items.append(make(kind, picture.title, picture.caption, having, draw))
    having = [c for c in found if plane(c)]
    labels = test_labels(config, having[0].settings) if having else None
    if labels is None:
        why = "the data set is not there to colour them by class" if having else "none is continuous"
        items.append(LeftOut("latents", f"{name}: the codes are not shown, because {why}.", ("latents",)))
    else:
        _, shown = plane(having[0])
        dims = having[0].arrays[plane(having[0])[0]].shape[1]
        part = "" if dims == 2 else f" The first two of {dims} dimensions."
        items.append(
            make(
                "latents", "Codes of the test images",
                f"Posterior means of {min(POINTS, len(labels)):,} test images, coloured by class; the lines are "
                f"contours of the prior's density{'' if shown else ' where it is the plane shown'}. Above a panel: the "
                f"share of codes beyond its frame.{part}",
                having, partial(scatters, having, labels, source.classes, config),
            )
        )  # fmt: skip
    return items


def _drawing(name, content, config, kind, heading, caption, having, draw) -> Drawing:
    seeds = sorted({c.seed for c in having})
    seed = f"Seed {seeds[0]} of each method." if len(seeds) == 1 else "The first finished seed of each method."
    who = ", ".join(title(config, c.method) for c in having)
    made_of = digest(kind, *(content[c.method] for c in having))
    return Drawing(kind, heading, f"{caption} {seed}", f"{name}, {heading.lower()}: {who}.", made_of, draw)
