"""The report: the page, with tables/ and figures/ beside it. Needs no model and no network."""

import base64
import io
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from bench.config.reading import seeds as seeds_of
from bench.config.schema import TUNING, Config
from bench.figures import drawing
from bench.records import whole_files
from bench.records.freshness import read
from bench.report import bibliography, checklist, explain, methods, overall_tables
from bench.report.measurements import measurements
from bench.tables import answers, costs, experiment_tables, tuning
from bench.tables.formats import Table, to_markdown
from bench.tables.published import PAPER, against_published, settings
from bench.tables.tidy_table import experiments, read_metrics, title

TEMPLATES = Path(__file__).parent / "templates"
BUDGET = 9_000_000  # bytes of pictures, so that the page stays below 15 MB with them in base64
QUALITIES = (80, 60, 40, 20)  # of WebP, tried in turn where all pictures together exceed the budget
EVIDENCE = {
    "quick": "The quick preset trains small networks for a few epochs on scikit-learn's digits. It shows that the "
    "suite works; it is no evidence about MNIST, nor about the paper.",
    "smoke": "The smoke preset only shows that every part runs; its numbers mean nothing.",
}


def protocol(config: Config, experiment: str) -> str:
    """The protocol of an experiment in three sentences: data, model and training, evaluation."""
    names = list(config.experiments.get(experiment, {}).get("methods", []))
    found = [s for m in names if (s := settings(config, experiment, m))]
    if not found:
        return "This experiment is not in the config; its rows come from the table alone."
    s = max(found, key=lambda f: len(f.terms))
    counts = sorted({len(seeds_of(config, experiment, m)) for m in names})
    seeds = " to ".join(dict.fromkeys((str(counts[0]), str(counts[-1]))))
    labels = {0: "no labels", "all": "the label of every training image"}.get(s.labels, f"{s.labels} labelled images")
    latents = ", ".join(f"{n}: {v.dim}-D {v.prior.replace('_', ' ')} prior" for n, v in s.latents.items())
    optimizer = s.optimizers.get("reconstruction")
    how = f"{optimizer.name} at {optimizer.lr:g}" if optimizer else "the default optimizer"
    reads = " and ".join(s.decoder)
    normalised = "" if s.normalisation == "none" else f", normalised {s.normalisation.replace('_', ' ')}"
    evaluations = ", ".join(s.evaluations) or "nothing"
    plural = "s" if seeds != "1" else ""
    data = f"{s.dataset}{normalised}, {labels}, {seeds} seed{plural} of each of {len(names)} methods"
    network = f"{s.depth} hidden layers of {s.width} in encoder and decoder, latents {latents}"
    training = f"{s.epochs} epochs of batches of {s.batch_size} with {how}, terms {', '.join(s.terms)}"
    return (
        f"Data: {data}, paired: a seed has the same initial weights, batches and labelled images under every method. "
        f"Model and training: {network}, the decoder reads {reads}; {training}. "
        f"Evaluation: {evaluations}, on the test split after the last epoch, which no choice has seen."
    )


def pictures(folder: Path, experiment: str, found: dict) -> list[dict]:
    """The figures of an experiment, to be embedded."""
    content = []
    for name, figure in found["figures"].items():
        data = (folder / experiment / f"{name}.png").read_bytes()
        content.append({"name": name, "bytes": data, **figure})
    return content


def embed(content: list[dict], jobs: int = 1) -> None:
    """Give each picture its base64 text and size, without loss; the largest with as much as the budget wants."""

    def encoded(picture: dict, **options) -> bytes:
        buffer = io.BytesIO()
        Image.open(io.BytesIO(picture["bytes"])).convert("RGB").save(buffer, "webp", method=2, **options)
        return buffer.getvalue()

    with ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(lambda picture: encoded(picture, lossless=True, quality=20), content))
    # Fewer pixels would blur the words of a figure, and make no fewer bytes of a digit's large ones.
    for quality in QUALITIES:
        for i in sorted(range(len(found)), key=lambda i: -len(found[i])):
            if sum(map(len, found)) <= BUDGET:
                break
            found[i] = min(found[i], encoded(content[i], quality=quality), key=len)
    for picture, data in zip(content, found, strict=True):
        picture["width"], picture["height"] = Image.open(io.BytesIO(picture.pop("bytes"))).size
        picture["data"] = base64.b64encode(data).decode()


def trials(config: Config, table: pd.DataFrame, output: Path) -> list[Table]:
    """What the config's tuning found: default and tuned, sensitivity, the ledger, which is written as a table too."""
    if config.tuning is None or TUNING not in config.experiments:
        return []
    frame = tuning.ledger(config, table)
    whole_files.write(output / "tuning_ledger.csv", frame.to_csv(index=False, lineterminator="\n"))
    return [make(config, frame) for make in (tuning.tuned_table, tuning.stability_table, tuning.ledger_table)]


def minus(text: str) -> str:
    """`text` with true minus signs."""
    return re.sub(r"(?<![\w.-])-(?=\d)", "−", str(text))


def question(config: Config, table: pd.DataFrame, cells: pd.DataFrame) -> dict:
    """The first screen: the question, its verdict in plain words, and what it is worth."""
    found = answers.answers(config, table, cells)
    q = answers.words()["question"]
    cautions = [EVIDENCE[config.preset]] if config.preset in EVIDENCE else []
    if found:
        way, numbers = answers.in_plain_words(config, found[0])
        if found[0].comparison.pairs == 1:
            cautions.append("One seed has no spread: no interval and no test can be given. Run more seeds.")
        if found[0].comparison.unpaired:
            cautions.append(
                f"Seeds with a number for only one of the two methods, not compared: {found[0].comparison.unpaired}."
            )
    else:
        way = "Not answered yet."
        numbers = (
            f"No experiment has numbers of both {q['challenger_name']} and {q['reference_name']} for the same seed."
        )
    pair = {q["challenger"], q["reference"]}
    both = [e for e, content in config.experiments.items() if pair <= set(content["methods"])]
    missing = [title(config, e, "experiments") for e in both if e not in {a.experiment for a in found}]
    unanswered = [f"No comparison yet in: {'; '.join(missing)}."] if missing and found else []
    return {
        "question": q,
        "way": way,
        "numbers": numbers,
        "also": answers.also(config, table, found[0]) if found else [],
        "others": answers.others(config, table, found),
        "cautions": cautions,
        "answers": overall_tables.answers(config, found),
        "unanswered": unanswered,
    }


def words(config: Config, table: pd.DataFrame, metrics: Path, output: Path, path: str) -> tuple[dict, dict]:
    """What the page says without its figures, by the template's names, and the tables it shows by name."""
    cells = experiment_tables.summary(config, table)
    written = experiment_tables.write_tables(config, table, cells, output.parent / "tables")
    blocks = overall_tables.headlines(config, table, cells)
    keys = [key for cited in bibliography.keys(config).values() for key in cited if key in bibliography.entries()]
    found = {
        **question(config, table, cells),
        "name": config.name,
        "preset": config.preset,
        "style": Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        "script": Markup((TEMPLATES / "report.js").read_text(encoding="utf-8")),
        "paper": [written[n] for n in PAPER],
        "experiments": [
            {
                "id": experiment,
                "title": title(config, experiment, "experiments"),
                "protocol": protocol(config, experiment),
                "cost": costs.cost_table(config, table, experiment),
                "tables": [written[n] for n in (experiment, f"{experiment}_details") if n in written],
                "caveats": answers.words()["caveats"].get(experiment, []),
            }
            for experiment in experiments(config, table)
        ],
        "reference": overall_tables.against_reference(config, table, cells),
        "methods": [
            methods.method_section(config, table, blocks, cells, m)
            for m in config.methods
            if set(methods.used_by(config, m)) - {TUNING}
        ],
        "published": overall_tables.verdict_table(config, against_published(config, cells)),
        "reimplementations": overall_tables.reimplementations(),
        "deviations": answers.words()["deviations"],
        "trials": trials(config, table, output.parent / "tables"),
        "measurements": measurements(),
        "failures": overall_tables.failures(config, table),
        "checklist": checklist.checklist(config, table),
        "provenance": overall_tables.provenance(table),
        "cells": overall_tables.cells_of(config, table, path),
        "references": [bibliography.reference(key) for key in dict.fromkeys(keys)],
        "metrics": metrics.as_posix(),
        "output": output.as_posix(),
        "config_path": path,
    }
    return found, written


def render(
    config: Config, table: pd.DataFrame, metrics: Path, output: Path, path: str, jobs: int = 1
) -> tuple[str, dict]:
    """The page, and the tables it shows by name; tables/ and figures/ are written beside it, by `jobs` processes."""
    folder = output.parent / "figures"
    with drawing.making(config, table, metrics.parent / "runs", folder, jobs) as drawn:
        found, written = words(config, table, metrics, output, path)
        for content in found["experiments"]:
            made = drawn(content["id"])
            content["figures"] = pictures(folder, content["id"], made)
            content["left_out"] = list(made["left_out"].values())
    embed([*(image for content in found["experiments"] for image in content["figures"])], jobs)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["minus"] = minus
    return environment.get_template("report.html.j2").render(**found), written


def write(config_path: str, metrics: Path, output: Path, jobs: int = 1) -> str:
    """Write the page, and tables/ and figures/ beside it; returns what the terminal is to say of them.

    Raises:
        ConfigError: a bad config or table.
    """
    config, _, _ = read(config_path)
    path = explain.config_path(config_path, config)
    with redirect_stdout(sys.stderr):  # what libraries say when imported
        page, written = render(config, read_metrics(metrics), metrics, output, path, jobs)
    whole_files.write(output, page)
    first = [e for e in answers.words()["question"]["experiments"] if e in written]
    shown = [to_markdown(written[e]) for e in (first or list(written))[:1]]
    folder = output.parent
    return "\n".join([*shown, f"tables: {folder / 'tables'}", f"figures: {folder / 'figures'}", f"report: {output}"])
