"""The page of a result set: a folder that opens without a network. index.html is the answer; the rest is a click away.

Made from the files of the result set alone. What cannot be shown costs its own part, and is named at the end.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup
from PIL import Image

from bench.config.schema import TUNING, Config
from bench.figures import drawing
from bench.records import whole_files
from bench.records.freshness import read
from bench.report import bibliography, checklist, experiments, explain, explorer, html, methods
from bench.report import overall_tables as overall
from bench.tables import answers, experiment_tables, files, paper_tables, tuning
from bench.tables.formats import Entry, Table, table
from bench.tables.metric_names import metric as describe
from bench.tables.published import against_published
from bench.tables.tidy_table import FAMILIES, family, read_metrics, scores, short, title
from bench.tables.tidy_table import experiments as experiments_of
from bench.tables.words import several, words

ASSETS = Path(__file__).parent / "assets"


def write(path: str | Path, metrics: Path, output: Path, jobs: int = 1, formats: Sequence[str] = ("png",)) -> str:
    """Make the page of the result set of `metrics` in the folder `output`; what the terminal then says.

    `formats` are those of the figures; a PDF or SVG is linked beside each.

    Raises:
        ConfigError: a config or table that cannot be read. OSError: the folder cannot be written.
    """
    config = read(path)
    rows = read_metrics(metrics)
    output.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    old = new.with_name(f"{new.name}-old")
    try:
        new.chmod(0o755)
        page = Page(config, rows, metrics, new, explain.config_path(path, config))
        page.make(jobs, formats)
        if output.exists():
            os.replace(output, old)
        try:
            os.replace(new, output)
        except OSError:
            if old.exists():
                os.replace(old, output)
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    said = [f"left out: {why}" for why in page.left_out]
    return "\n".join([page.summary(), *said, f"page: {output / 'index.html'}"])


class Page:
    """The page of a result set, made in a folder; `left_out` says what could not be shown, and why."""

    def __init__(self, config: Config, rows: pd.DataFrame, metrics: Path, folder: Path, path: str):
        self.config, self.rows, self.folder, self.path, self.source = config, rows, folder, path, metrics
        self.left_out: list[str] = []
        self.cells = experiment_tables.summary(config, rows)
        self.written = files.write_tables(config, rows, self.cells, folder / "tables")
        self.picture = self.attempt("the picture", answers.picture, config, rows)
        self.experiments = experiments_of(config, rows)
        self.listed = [e for e in self.experiments if e != TUNING]
        used = [m for m in config.methods if methods.used_by(config, m).keys() - {TUNING}]
        self.methods = [{"id": m, "short": short(config, m), "family": family(config, m)} for m in used]
        self.methods.sort(key=lambda x: FAMILIES.index(x["family"]))
        self.known = self.attempt("the bibliography", bibliography.known, config) or {}
        self.headlines = methods.headlines(config, rows, self.cells)
        self.templates = html.environment()

    def attempt(self, what: str, make: Callable, *arguments: Any) -> Any:
        """What `make` returns; None where it fails, which is said at the end: a part costs itself alone."""
        try:
            return make(*arguments)
        except OSError:
            raise
        except Exception as error:
            self.left_out.append(f"{what} ({type(error).__name__}: {error})")
            return None

    def make(self, jobs: int, formats: Sequence[str]) -> None:
        """Every file of the page."""
        source = self.source.parent
        with drawing.making(self.config, self.rows, source, self.folder / "figures", jobs, formats) as drawn:
            shutil.copytree(ASSETS, self.folder / "assets")
            whole = self.attempt("all measures together", explorer.together, self.config, self.rows, self.picture)
            profiles = whole.profiles if whole else None
            data = self.attempt("the explorer's data", explorer.data, self.config, self.rows, self.path, profiles)
            whole_files.write(self.folder / "assets/data.js", data or "")
            pages = {"index": self.index, "paper": self.paper, "how": self.how}
            for name, content in (pages | {"explore": lambda: {"together": whole and whole.table}}).items():
                self.render(f"{name}.html", name, name, content)
            for x in self.methods:
                self.render(f"methods/{x['id']}.html", "method", f"method-{x['id']}", partial(self.method, x["id"]))
            for name in self.experiments:
                content = partial(self.experiment, name, drawn(name), formats)
                self.render(f"experiments/{name}.html", "experiment", name, content)

    def render(self, file: str, template: str, here: str, content: Callable[[], dict[str, Any]]) -> None:
        """A page of the folder from its template; one that fails says so in its place."""
        shared = {
            "name": self.config.name,
            "preset": self.config.preset,
            "root": "../" * file.count("/"),
            "current": lambda name: Markup(' aria-current="page"') if name == here else "",
            "experiments": [{"id": e, "title": title(self.config, e, "experiments")} for e in self.listed],
            "methods": self.methods,
            "families": {x["id"]: x["family"] for x in self.methods},
            "first": answers.shown_methods(self.config),
            "files": list(self.written),
            "metrics": self.source.as_posix(),
            "config_path": self.path,
        }
        whole = self.templates.get_template(f"{template}.html.j2")
        text = self.attempt(file, lambda: whole.render(shared | content()))
        if text is None:
            why = self.left_out[-1]
            text = self.templates.get_template("left_out.html.j2").render(shared | {"why": why})
        whole_files.write(self.folder / file, text)

    def index(self) -> dict[str, Any]:
        """The first page: question, answer, caveat, picture."""
        p = self.picture
        return {
            "question": p.question if p else words()["question"]["title"],
            "answer": p.answer if p else "Not answered yet.",
            "caveat": p.caveat if p else "",
            "picture": p if p and p.rows else None,
            "data": ", ".join(map(paper_tables.dataset, paper_tables.used(self.config))),
            "aside": several([m.label for m in p.measures if not m.counts]) if p else "",
            "overview": self.overview(),
        }

    def overview(self) -> Table:
        """A row for each experiment: the means of the reference and of the challenger, the verdict."""
        found, counts = [], [m for m in (self.picture.measures if self.picture else []) if m.counts]
        for experiment in self.listed:
            row = [Entry(title(self.config, experiment, "experiments"), href=f"#{experiment}")]
            metric, means = self.headlines.get(experiment, ("", pd.Series(dtype=float)))
            if counted := [m.metric for m in counts if m.experiment == experiment]:
                metric, means = counted[0], scores(self.rows, experiment, counted[0]).mean().dropna()
            m, means = describe(metric), means.filter(list(self.config.methods))
            named, challengers = words()["question"]["reference"], words()["question"]["challenger"]
            reference = answers.references(named, means.to_frame().T, bool(m.higher_is_better)) if len(means) else None
            challenger = next((method for method in challengers if method in means), None)
            if reference is None or challenger is None:
                found.append([*row, *"––––"])
                continue
            measure, values = answers.measure(experiment, metric, reference), scores(self.rows, experiment, metric)
            said = answers.verdict(measure, values, challenger)
            row += [self._mean(experiment, metric, method) for method in (reference, challenger)]
            found.append([*row, said.word, f"{m.label}{f' ({m.unit})' if m.unit else ''}"])
        head = ["Experiment", "Best adversary", "Challenger", "The challenger is", "Measured by"]
        return table(
            "overview", "The experiments, each by the first measure that the answer counts, or its first.", head, found
        )

    def _mean(self, experiment: str, metric: str, method: str) -> Entry:
        of = self.cells[(self.cells["experiment"] == experiment) & (self.cells["method"] == method)]
        entry = experiment_tables.cell(of[of["metric"] == metric].iloc[0], detail=short(self.config, method))
        return entry._replace(bold=False, level=False)

    def paper(self) -> dict[str, Any]:
        """The paper's tables, with published values, their sources and verdicts."""
        return {
            "tables": [self.written[n] for n in words()["paper"] if n in self.written],
            "published": overall.verdict_table(self.config, against_published(self.config, self.cells)),
            "reimplementations": overall.reimplementations(),
        }

    def how(self) -> dict[str, Any]:
        """How it was done: the rule, the checklist, what failed, the trials, the provenance, the references."""
        return {
            "question": words()["question"]["text"],
            "rule": self.picture.rule if self.picture else "",
            "measures": overall.measures(self.cells),
            "checklist": checklist.checklist(self.config, self.rows),
            "deviations": words()["deviations"],
            "failures": overall.failures(self.config, self.rows),
            "trials": self.attempt("the trials", self.trials) or [],
            "provenance": overall.provenance(self.rows),
            "references": self.works([key for keys in bibliography.keys(self.config).values() for key in keys]),
        }

    def works(self, cited: Sequence[str]) -> list[dict[str, str]]:
        """The cited works that have an entry, each once."""
        return [bibliography.reference(k, self.known[k]) for k in dict.fromkeys(cited) if k in self.known]

    def trials(self) -> list[Table]:
        """What the config's tuning found: default and tuned, sensitivity, the ledger, which is a file too."""
        if self.config.tuning is None:
            return []
        frame = tuning.ledger(self.config, self.rows)
        text = frame.to_csv(index=False, lineterminator="\n")
        whole_files.write(self.folder / "tables/tuning_ledger.csv", text)
        return [f(self.config, frame) for f in (tuning.tuned_table, tuning.ledger_table)]

    def method(self, name: str) -> dict[str, Any]:
        """The page of a method."""
        found = methods.view(self.config, self.cells, self.headlines, name)
        return {"x": found | {"references": self.works(found["cites"])}}

    def experiment(self, name: str, figures: drawing.Found, formats: Sequence[str]) -> dict[str, Any]:
        """The page of an experiment."""
        found, shown = experiments.view(self.config, self.rows, self.cells, self.written, name, self.path), []
        for kind, figure in figures["figures"].items():
            with Image.open(self.folder / "figures" / name / f"{kind}.png") as image:
                width, height = image.size
            size = {"name": kind, "width": width, "height": height, "formats": [f for f in formats if f != "png"]}
            shown.append(figure | size)
        known = words()["headings"].items()
        found["headings"] = {t.name: next(h for k, h in known if k in t.name) for t in found["more"]}
        first = experiments.first(self.config, *self.headlines.get(name, ("", pd.Series(dtype=float))))
        return {"x": found | {"figures": shown, "left_out": list(figures["left_out"].values())}, "first": first}

    def summary(self) -> str:
        """The answer for a terminal: the picture in text."""
        return answers.text(self.picture) if self.picture else "Not answered yet."
