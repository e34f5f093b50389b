"""Long loops over tensors that go on where a killed process left them, to the same bits."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from bench.records import whole_files

FORMAT = b"latentbench-checkpoint-1\n"
KEPT = 2  # the newest may be corrupt: the one before must still be there
Variables = dict[str, Tensor]


class Loops:
    """The named loops of one computation, one after another; without a folder they are only run.

    With one, the variables and torch's random state are checkpointed there every `every` seconds of
    wall time and after each loop. A second computation of the same `fingerprint` repeats no step
    that was saved. What is done between loops is repeated, and must not depend on anything but the
    fingerprint, earlier loops and the random state. A checkpoint that is damaged or of another
    fingerprint is passed over with a message.
    """

    def __init__(self, folder: Path | None, fingerprint: str, every: float = 60.0):
        self.folder, self.fingerprint, self.every = folder, fingerprint, every
        self.saved = time.monotonic()
        self.states: dict[str, dict] = {}
        if folder is not None:
            whole_files.clean(folder)
            self.states = (load_checkpoint(folder, fingerprint) or {}).get("loops", {})

    def run(
        self, name: str, steps: int, start: Variables, body: Callable[[int, Variables], Variables], progress: bool
    ) -> Variables:
        """The variables after `steps` times `variables = body(t, variables)`, t from 0, from `start` or a checkpoint.

        `name` must be the loop's own; with `progress` there is a bar.
        """
        done, variables = 0, start
        if name in self.states:
            state = self.states[name]
            done, variables = state["step"], {k: state["variables"][k].to(v.device) for k, v in start.items()}
            torch.set_rng_state(state["random"])
            if state["cuda"] is not None:
                torch.cuda.set_rng_state(state["cuda"])
        for t in tqdm(range(done, steps), name, initial=done, total=steps, disable=not progress):
            variables = body(t, variables)
            if time.monotonic() - self.saved > self.every or t + 1 == steps:
                self._save(name, t + 1, variables)
        return variables

    def _save(self, name: str, step: int, variables: Variables) -> None:
        if self.folder is None:
            return
        cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
        self.states[name] = {"step": step, "variables": variables, "random": torch.get_rng_state(), "cuda": cuda}
        total = sum(state["step"] for state in self.states.values())
        save_checkpoint(self.folder, total, {"fingerprint": self.fingerprint, "loops": self.states})
        self.saved = time.monotonic()


def save_checkpoint(folder: str | Path, step: int, state: dict) -> None:
    """A versioned, hashed checkpoint `ckpt-<step>.pt` of tensors and plain values; keeps the last two."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    whole_files.write(
        Path(folder) / f"ckpt-{step:09d}.pt", FORMAT + whole_files.sha256(payload).encode() + b"\n" + payload
    )
    for old in sorted(Path(folder).glob("ckpt-*.pt"))[:-KEPT]:
        old.unlink(missing_ok=True)


def load_checkpoint(folder: str | Path, fingerprint: str, report: Callable[[str], None] = print) -> dict | None:
    """The newest checkpoint that is whole and of this very run and code; None if there is none.

    A corrupt, foreign or older one is passed over with a message. No code in it is ever run.
    """
    for path in sorted(Path(folder).glob("ckpt-*.pt"), reverse=True):
        try:
            content = path.read_bytes()
            if not content.startswith(FORMAT):
                raise ValueError("not a checkpoint of this version")
            digest, _, payload = content[len(FORMAT) :].partition(b"\n")
            if whole_files.sha256(payload).encode() != digest:
                raise ValueError("its hash does not match its content")
            state = torch.load(io.BytesIO(payload), weights_only=True, map_location="cpu")
            if state.get("fingerprint") != fingerprint:
                raise ValueError("it belongs to other settings or other code")
        except Exception as error:
            report(f"checkpoint {path.name} passed over: {error}")
            continue
        return state
    return None
