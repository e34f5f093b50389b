"""How verbs, configs and runs are read from a command line, completed, and answered with the nearest if unknown."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from bench import SHARE

FOLDER = Path("config")


class Verbs(click.Group):
    """Verbs in the order of the pipeline."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As they were declared."""
        return list(self.commands)

    def verb(self, example: str, **settings) -> Callable:
        """A decorator: the function is a verb, whose help ends with an example."""
        return self.command(epilog=f"Example: latentbench {example}", context_settings=settings)

    def of_config(self, example: str, default: str | None = None, **settings) -> Callable:
        """The same for a verb whose first argument is a config."""

        def verb(function: Callable) -> click.Command:
            argument = click.argument("config", type=CONFIG, default=default, required=default is None)
            return self.verb(example, **settings)(argument(function))

        return verb

    def resolve_command(self, ctx: click.Context, args: list[str]):
        """The verb that the first argument names."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            from bench.config.schema import unknown

            raise click.UsageError(f"verb: {unknown(args[0], self.commands)}", ctx)
        return super().resolve_command(ctx, args)


class Config(click.ParamType):
    """A config file, the pipeline's copy of one (.json), or the name of one in config/."""

    name = "config"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path of the file."""
        if value.startswith("-"):
            self.fail(f"the config comes first, then options such as {value}", param, ctx)
        places = [Path(value), *(f / f"{value}.yaml" for f in (FOLDER, SHARE / FOLDER))]
        for path in places[1:] if "/" not in value and "." not in value else places[:1]:
            with suppress(OSError):  # a name may be longer than a file's can be
                if path.is_file():
                    return str(path)
        from bench.config.schema import unknown

        there = sorted(Path(value).parent.glob("*.yaml")) if places[0].suffix else self.names()
        self.fail(unknown(value, there), param, ctx)

    @staticmethod
    def names() -> list[str]:
        """The configs in config/ here, and of those that come with the package."""
        return sorted({path.stem for folder in (FOLDER, SHARE / FOLDER) for path in folder.glob("*.yaml")})

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names in config/, and files."""
        names = [name for name in self.names() if name.startswith(incomplete)]
        return [*map(CompletionItem, names), CompletionItem(incomplete, type="file")]


class Seconds(click.FloatRange):
    """A time: 0 or more."""

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, which nan is not, though no comparison says so."""
        seconds = super().convert(value, param, ctx)
        return self.fail("nan is no time", param, ctx) if seconds != seconds else seconds


CONFIG = Config()
SECONDS = Seconds(min=0)
COUNT = click.IntRange(min=1, max=100_000)
# Results depend on the number of threads, so more than this machine has cores may be wanted; but no thousands.
THREADS = click.IntRange(min=1, max=max(256, os.cpu_count() or 1))
JOBS = click.option("--jobs", type=COUNT, default=os.cpu_count(), help="How many at once; all cores if not given.")
FILE = click.Path(path_type=Path, dir_okay=False)
LOG = click.option("--log", type=FILE, help="File for all that is printed but errors.")


def computing(command: Callable) -> Callable:
    """The options that training and measuring share."""
    for option in (
        click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
        click.option("--threads", type=THREADS, help="Threads of this process; torch's choice if not given."),
        click.option("--force", is_flag=True, help="Also what is up to date."),
        LOG,
        click.argument("runs", nargs=-1),
        click.argument("config", type=CONFIG),
    ):
        command = option(command)
    return command
