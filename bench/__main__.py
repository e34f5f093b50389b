"""The front door: one command, `latentbench` or `python -m bench`, one verb a program.

Each verb imports its room when it is called, so that the help comes at once.
"""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module
from pathlib import Path

try:
    import click
except ImportError:  # a broken installation is what doctor is for
    if sys.argv[1:2] != ["doctor"]:
        sys.exit(
            "click is not installed: `make setup`, or install requirements.lock; `doctor` says what else is missing"
        )
    from bench.door.doctor import doctor as examine

    sys.exit(examine())

from bench.door.mistakes import carry_out, logged
from bench.door.options import JOBS, LOG, SECONDS, Verbs, computing


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """A benchmark of latent regularizers for autoencoders.

    A config names its methods, experiments and seeds: a file, or the name of one in config/.

    \b
    latentbench doctor            is this machine ready?
    latentbench run quick         train, measure, tabulate, draw

    Completion in bash: eval "$(_LATENTBENCH_COMPLETE=bash_source latentbench)"; zsh_source and fish_source likewise.
    """  # noqa: D301, click's mark of lines to leave as they are


@cli.of_config("run mnist --cores 8", ignore_unknown_options=True, default="quick")
@click.argument("snakemake", nargs=-1, type=click.UNPROCESSED)
def run(config: str, snakemake: tuple[str, ...]) -> int:
    """Do what a config leaves to do, up to the page; what is up to date stays.

    Options go to Snakemake: --cores 8, --dry-run, --workflow-profile profiles/slurm.
    """
    from bench.door.pipeline import run

    return run(config, list(snakemake))


@cli.of_config("plan mnist", default="quick")
@JOBS
def plan(config: str, jobs: int) -> None:
    """What is done, what is left, and how long it takes; also while it runs."""
    from bench.records.plan import plan

    click.echo(plan(config, jobs))


@cli.verb("train quick likelihood/mmd likelihood/aae --threads 1")
@computing
@click.option("--checkpoint-seconds", type=SECONDS, default=60.0, help="Time between checkpoints.")
def train(**arguments) -> int:
    """Train the stale runs of a config; each ends in a record."""
    from bench.door.computing import train

    return train(**arguments)


@cli.verb("evaluate quick likelihood")
@computing
@click.option("--controls", is_flag=True, help="Only the rows that need no model: training images, k-means and others.")
def evaluate(**arguments) -> None:
    """Measure trained runs, and store their codes."""
    from bench.door.computing import evaluate

    evaluate(**arguments)


@cli.of_config("collect quick")
@LOG
def collect(config: str, log: Path | None) -> None:
    """Gather the numbers of all runs in the files of results/NAME that git keeps."""
    with logged(log):
        from bench.records.collect import collect
        from bench.records.freshness import Results, read

        collect(Results(read(config)))


@cli.of_config("verify mnist --jobs 2")
@click.argument("runs", nargs=-1)
@JOBS
@LOG
def verify(config: str, runs: tuple[str, ...], jobs: int, log: Path | None) -> int:
    """Whether results of older code are still true, by repeating how trainings begin; status 3 if one is not."""
    with logged(log):
        from bench.config.runs import select
        from bench.records.freshness import Results, read
        from bench.train.verify import report, verify

        results = Results(read(config))
        found = verify(results, select(results.runs, list(runs)), jobs, click.echo)
        click.echo(report(found))
        return 3 if any(verdict.word == "stale" for verdict in found) else 0


@cli.verb("merge results/night1 results/night2 --output results/night")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder of the joined set.")
def merge(sources: tuple[Path, ...], output: Path) -> None:
    """Join result sets of one config that were run on several machines; refuses what contradicts."""
    from bench.records.merge import merge

    click.echo(merge(sources, output))


@cli.of_config("report mnist")
@JOBS
@click.option("--formats", type=click.Choice(["pdf", "svg"]), multiple=True, help="Figures in this format, too.")
@LOG
def report(config: str, jobs: int, formats: tuple[str, ...], log: Path | None) -> None:
    """Draw the page, tables and figures of the collected numbers; trains nothing."""
    with logged(log):
        from bench.door.pipeline import SUMMARY
        from bench.records import whole_files
        from bench.records.freshness import Results, read
        from bench.report import page

        results = Results(read(config)).folder
        said = page.write(config, results / "metrics.csv", results / "report", jobs, ("png", *formats))
        whole_files.write(results / SUMMARY, f"{said}\n")
        click.echo(said)


@cli.of_config("explain mnist likelihood mmd")
@click.argument("experiment")
@click.argument("method")
@click.argument("seed", type=click.IntRange(min=0), required=False)
def explain(config: str, experiment: str, method: str, seed: int | None) -> None:
    """Where a table's cell comes from, and the commands that reproduce it."""
    from bench.report.explain import explain_cell

    click.echo(explain_cell(config, experiment, method, seed))


@cli.verb("diff results/before results/quick")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
def diff(a: Path, b: Path) -> int:
    """What changed from one result set to another; exit status 1 if anything did beyond noise."""
    from bench.tables.compare import diff

    text, changed = diff(a, b)
    click.echo(text)
    return int(changed)


@cli.of_config("check mnist --strict")
@click.option("--strict", is_flag=True, help="Exit status 3 if a run is missing, of older code or ended badly.")
def check(config: str, strict: bool) -> int:
    """Whether results are whole and belong together: records, measurements, models, the table."""
    from bench.records.freshness import Results, read
    from bench.records.integrity import problems
    from bench.records.integrity import unfinished as open_ends

    results = Results(read(config))
    wrong = list(problems(results))
    unfinished = [] if wrong else list(open_ends(results))
    for line in (*wrong, *unfinished):
        click.echo(line)
    click.echo(f"{len(results.runs)} runs: {len(unfinished)} not finished, {len(wrong)} problems")
    return 1 if wrong else 3 if unfinished and strict else 0


@cli.of_config("tune quick", ignore_unknown_options=True)
@click.argument("snakemake", nargs=-1, type=click.UNPROCESSED)
def tune(config: str, snakemake: tuple[str, ...]) -> int:
    """Run the trials of a config's `tuning`, and choose on validation images."""
    from bench.door import pipeline
    from bench.tables import tuning

    if code := pipeline.tune(config, list(snakemake)):
        return code
    click.echo(tuning.judge(config))
    return 0


@cli.of_config("cite mnist > references.bib")
def cite(config: str) -> None:
    """BibTeX for the methods, data sets and evaluations of a config."""
    from bench.records.freshness import read
    from bench.report.bibliography import bibtex

    with contextlib.redirect_stdout(sys.stderr):  # what libraries say when imported is no BibTeX
        text = bibtex(read(config))
    click.echo(text)


@cli.verb("new my_distance")
@click.argument("name")
def new(name: str) -> None:
    """Start a regularizer: writes regularizers/NAME.py, and says what comes next."""
    from bench import ROOT
    from bench.config.new_method import begin

    click.echo(begin(name, ROOT / "regularizers"))


@cli.verb("perf mmd --help", ignore_unknown_options=True, help_option_names=[])
@click.argument("measurement", required=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def perf(measurement: str | None, options: tuple[str, ...]) -> None:
    """Measure the benchmark itself; without a measurement, list them."""
    from bench.perf import subcommands

    known = subcommands()
    if measurement in (None, "-h", "--help"):
        click.echo("\n".join(f"{name:12} {line}" for name, line in known.items()))
    elif measurement not in known:
        from bench.config.schema import unknown

        raise click.UsageError(unknown(measurement, known))
    else:
        import_module(f"bench.perf.{measurement}").run(list(options))


@cli.verb("doctor")
def doctor() -> int:
    """Whether this machine is ready, a line for each thing, with the remedy."""
    from bench.door.doctor import doctor

    return doctor()


def main(arguments: list[str] | None = None) -> int:
    """The program; returns its exit status."""
    return carry_out(cli, arguments)


if __name__ == "__main__":
    sys.exit(main())
