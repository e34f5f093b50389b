"""Pythae, in an environment of its own, taking turns with ours."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

WORKER = Path(__file__).parent / "pythae_worker.py"
# By regularizer: pythae's model of the same method, or for the closed form the sampled one that it replaces.
MODELS = {
    "unregularized": "AE",
    "kl": "VAE",
    "adversarial": "Adversarial_AE",
    "wae_mmd": "WAE_MMD",
    "mmd": "WAE_MMD",
}


class Pythae:
    """A process of `interpreter`, the Python of an environment in which pythae is installed.

    Raises:
        RuntimeError: it does not start or does not answer; the message ends with what it printed.
    """

    def __init__(self, interpreter: str):
        # Read when the process has failed: a pipe that nobody empties would stop it.
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        # -I: modules of this folder must not be taken for packages of the same name.
        command = [interpreter, "-I", str(WORKER)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors}
        self.process = subprocess.Popen(command, text=True, **pipes)
        self.versions = self.ask(threads=torch.get_num_threads())

    def ask(self, **request) -> dict:
        """The answer to one request."""
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.process.wait()
            self.errors.seek(0)
            printed = self.errors.read()[-2000:]
            self.close()
            raise RuntimeError(f"pythae failed: {printed}")
        return json.loads(line)

    def job(self, name: str, kind: str, **options) -> Callable[[int], float]:
        """A job of the worker, in the place of an older one of that name: a function as `timing.turns` takes it."""
        self.ask(name=name, kind=kind, **options)
        return lambda steps: self.ask(name=name, steps=steps)["seconds"]

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):  # it may have ended by itself
            self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()
        self.errors.close()
