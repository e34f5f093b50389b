"""Checkpoints of a training, from which a killed one goes on to the same bits."""

import io
from collections.abc import Callable
from pathlib import Path

import torch

from bench.records import whole_files

FORMAT = b"latentbench-checkpoint-1\n"
KEPT = 2  # the newest may be corrupt: the one before must still be there


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
