"""A small config that the tests of configs extend: four experiments, four methods, nothing that takes time."""

from pathlib import Path

from bench.config.layers import ConfigError
from bench.config.reading import load
from bench.config.schema import Config

BASE = """\
name: base
controls: false
defaults: {dataset: digits, width: 8, epochs: 4}
methods:
  ae: {regularizer: unregularized}
  vae: {regularizer: kl, encoder: gaussian}
  aae: {regularizer: adversarial, schedule: alternating, hyperparameters: {width: 8}}
  mmd: {regularizer: mmd, schedule: alternating}
experiments:
  density:
    methods: [ae, vae, aae, mmd]
    latents: {z: {dim: 2}}
    decoder: [z]
    evaluations: [reconstruction, likelihood]
  classes:
    methods: [vae, aae, mmd]
    labels: 100
    terms: [reconstruction, regularization, classification]
    latents: {y: {head: categorical, prior: one_hot, dim: 10}, z: {dim: 2}}
    decoder: [y, z]
    evaluations: [reconstruction, classification]
  clusters:
    methods: [mmd]
    latents: {y: {head: categorical, prior: one_hot, dim: 16}, z: {dim: 2}}
    decoder: [y, z]
    evaluations: [clustering]
  informed:
    methods: [mmd]
    labels: 240
    latents: {z: {prior: petals, dim: 2, given: label}}
    decoder: [z]
    evaluations: [components]
"""


def extended(folder: Path, text: str, base: str = BASE) -> Config | list[str]:
    """The config of a text that extends the base, or its mistakes, without the folder's name."""
    (folder / "base.yaml").write_text(base, encoding="utf-8")
    path = folder / "c.yaml"
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    named = b"" if content.startswith(b"name:") or b"\nname:" in content else b"name: c\n"
    path.write_bytes(b"extends: base.yaml\n" + named + content)
    try:
        return load(path)
    except ConfigError as error:
        return str(error).replace(f"{folder}/", "").splitlines()
