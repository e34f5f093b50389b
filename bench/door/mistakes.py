"""What a program says when it cannot go on, and its exit status.

| status | meaning |
|---|---|
| 0 | done; failures of methods are in their records |
| 1 | a fault of the machine, named in one line; start again |
| 2 | a mistake in the command or the config, or data that cannot be read |
| 75 | another process works on a run; wait for it, or stop it |
| 130, 143 | stopped as asked, by Ctrl-C or by SIGTERM; a training has written its checkpoint |
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

FAULT, MISTAKE, HELD, INTERRUPTED, STOPPED = 1, 2, 75, 130, 143
MARK = "latentbench: "  # begins what a job says to the terminal
ATTEMPT = "LATENTBENCH_ATTEMPT"  # the pipeline counts the starts of a job in it


def said(error: BaseException) -> tuple[str, int] | None:
    """What to say of an error and the exit status; None for one that is a fault of this program."""
    from bench.config.reading import ConfigError
    from bench.data.verified_files import DataError
    from bench.records.fingerprint import UnknownModule
    from bench.records.locks import LockHeld
    from bench.records.merge import Contradiction
    from bench.records.result_set import Damaged

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message(), error.exit_code
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "latentbench"
        return f"{path}: {error.format_message().rstrip('.')} (see {path} --help)", error.exit_code
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, (ConfigError, DataError, Damaged, Contradiction, UnknownModule)):
        return str(error), MISTAKE
    if isinstance(error, LockHeld):
        return f"{error}; wait for it, or stop it, and start again", HELD
    if isinstance(error, OSError):
        return f"{error}; nothing half-written is left, start again to continue", FAULT
    return None


def _speak() -> None:
    """A character that the terminal lacks ends no program; files and pipes get UTF-8 unless PYTHONIOENCODING is set."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            free = not stream.isatty() and "PYTHONIOENCODING" not in os.environ
            stream.reconfigure(encoding="utf-8" if free else None, errors="replace")


def carry_out(command: click.Command, arguments: list[str] | None = None) -> int:
    """The exit status of a command line; what went wrong is said on stderr."""
    _speak()
    try:
        return command.main(arguments, prog_name="latentbench", standalone_mode=False) or 0
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as in `latentbench explain ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    except Exception as error:
        if (words := said(error)) is None:
            raise
        click.echo(words[0], err=True)
        return words[1]


@contextlib.contextmanager
def logged(log: Path | None) -> Iterator[None]:
    """Within: all output goes to the file `log`, but for the lines of an error, which go to the terminal too.

    A job that is started again after a mistake ends at once: the mistake is still there.

    Raises:
        click.exceptions.Exit: with the status of the error.
    """
    if log is None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    last = log.read_text(encoding="utf-8", errors="replace").rstrip().rpartition("\n")[2] if log.exists() else ""
    if int(os.environ.get(ATTEMPT, 1)) > 1 and last.startswith(MARK):
        raise click.exceptions.Exit(MISTAKE)
    before = [os.dup(1), os.dup(2)]
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        sys.stdout.flush()
        os.dup2(file, 1)
        os.dup2(file, 2)
        yield
    except Exception as error:
        if (words := said(error)) is None:
            os.write(before[1], f"{MARK}{type(error).__name__}: {error}; see {log}\n".encode())
            raise
        lines, code = words
        marked = "".join(f"{MARK}{line}\n" for line in lines.splitlines()).encode()
        os.write(2, marked if code == MISTAKE else f"{lines}\n".encode())
        os.write(before[1], marked)
        raise click.exceptions.Exit(code) from None
    finally:
        sys.stdout.flush()
        os.dup2(before[0], 1)
        os.dup2(before[1], 2)
        for number in (*before, file):
            os.close(number)
