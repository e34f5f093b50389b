"""Every table of a result set as files: CSV, Markdown and LaTeX."""

from pathlib import Path

import pandas as pd

from bench.config.schema import Config
from bench.records import whole_files
from bench.tables.experiment_tables import experiment_tables, part_of
from bench.tables.formats import Table, to_csv, to_latex, to_markdown
from bench.tables.paper_tables import paper_tables
from bench.tables.published import against_published
from bench.tables.tidy_table import experiments


def write_table(content: Table, folder: Path, csv: str | None = None) -> None:
    """NAME.csv, NAME.md and NAME.tex in a folder."""
    whole_files.write(folder / f"{content.name}.csv", csv or to_csv(content))
    whole_files.write(folder / f"{content.name}.md", to_markdown(content))
    whole_files.write(folder / f"{content.name}.tex", to_latex(content))


def write_tables(config: Config, table: pd.DataFrame, cells: pd.DataFrame, folder: Path) -> dict[str, Table]:
    """Every table of a result set, of which `cells` is the summary, in a folder; returned by name.

    An experiment's as EXPERIMENT, its CSV with one row for each method and metric; the paper's as paper_table_1 to 3;
    every published number beside ours as published.csv.
    """
    found = {}
    for experiment in experiments(config, table):
        own = cells[cells["experiment"] == experiment]
        for content in experiment_tables(config, cells, experiment) if len(own) else ():
            found[content.name] = content
            rows = own[own["metric"].map(part_of) == content.name.removeprefix(experiment)]
            write_table(content, folder, rows.to_csv(index=False, lineterminator="\n"))
    against = against_published(config, cells)
    whole_files.write(folder / "published.csv", against.to_csv(index=False, lineterminator="\n"))
    for content in paper_tables(config, cells, against):
        found[content.name] = content
        write_table(content, folder)
    return found
