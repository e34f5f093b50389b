"""The tables of README.md and results/README.md: each number is that of results/mnist/metrics.csv, as it is rounded."""

import re
from pathlib import Path

import pytest

from bench.tables.statistics import mean_interval
from bench.tables.tidy_table import read_metrics, scores

ROOT = Path(__file__).parents[2]
METRICS = ROOT / "results/mnist/metrics.csv"
# What a row's first cell says: experiment and metric
ROWS = {
    "Parzen, 10,000 samples, nats": ("likelihood", "log_likelihood"),
    "Parzen, 1 million samples, nats": ("likelihood", "log_likelihood_1000000"),
    "AIS of the decoder, nats": ("likelihood", "ais_log_likelihood"),
    "annealed importance sampling, nats": ("likelihood", "ais_log_likelihood"),
    "reconstruction, ½ squared error": ("likelihood", "reconstruction"),
    "energy distance of q(z) to the prior": ("likelihood", "referee_energy"),
    "holes: share of the prior with no code near": ("likelihood", "referee_holes"),
    "100": ("semi_supervised", "error"),
    "1,000": ("semi_supervised_1000", "error"),
    "all": ("semi_supervised_all", "error"),
    "error with 100 labels, %": ("semi_supervised", "error"),
    "error with 1,000 labels, %": ("semi_supervised_1000", "error"),
    "error with all labels, %": ("semi_supervised_all", "error"),
    "codes in their class's petal, %; kernels of each label": ("label_informed", "own_component"),
    "codes in their class's stretch of the roll, %; the same": ("label_informed_roll", "own_component"),
    "error of 16 clusters, %": ("clustering", "clustering_error"),
    "error of 30 clusters, %": ("clustering_30", "clustering_error"),
    **{
        f"{n}: {words}": (experiment, name)
        for n, experiment in ((16, "clustering"), (20, "clustering_20"), (30, "clustering_30"))
        for words, name in (
            ("error, paper's rule, %", "clustering_error"),
            ("error, majority of a cluster, %", "clustering_error_majority"),
            ("normalised mutual information", "nmi"),
        )
    },
}
METHODS = {
    "MMD": "mmd",
    "closed-form MMD": "mmd",
    "energy kernel": "mmd_energy",
    "energy": "mmd_energy",
    "with a norm term": "mmd_norm",
    "norm": "mmd_norm",
    "energy and norm": "mmd_energy_norm",
    "AAE": "aae",
    "AAE, slower discriminator": "aae_slow",
    "AAE, two discriminator updates": "aae_two",
    "VAE, half the KL": "vae_half",
}
# Rows whose closed forms are others than their table's head says
OTHER = {"the same": {"mmd": "mmd_norm", "mmd_energy": "mmd_energy_norm"}}
OTHER |= {
    name: {"mmd": "mmd_conditional", "mmd_energy": "mmd_energy_conditional"}
    for name in ROWS
    if name.startswith("codes in their")
}


def tables(path):
    """(head, rows) of the Markdown tables of a file, as text without emphasis."""
    for block in re.findall(r"(?:^\|.*\n)+", path.read_text(encoding="utf-8"), re.M):
        cells = [[c.strip() for c in line.strip("|\n").split("|")] for line in block.splitlines()]
        yield cells[0], cells[2:]


def claims():
    """What is checked, as (where, experiment, metric, methods, text): one method's mean ± sd, or two's difference."""
    for name in ("README.md", "results/README.md"):
        for head, rows in tables(ROOT / name):
            above = None
            for label, *cells in rows:
                short = label.removesuffix(" (100 images; bracket 0.7 to 1.5)")
                above = key = short if short in ROWS else above if label.startswith("the same") else None
                if key is None:
                    continue
                other, method = OTHER.get(label.partition(",")[0], OTHER.get(label, {})), None
                for column, text in zip(head[1:], cells, strict=True):
                    method = METHODS.get(column, method)
                    methods = [method if m == "it" else METHODS.get(m) for m in column.split(" − ")]
                    if all(methods) and ("±" if len(methods) == 1 else "[") in text:
                        where = f"{name}, {label}, {column}"
                        yield where, *ROWS[key], [other.get(m, m) for m in methods], text


def numbers(text):
    """The numbers of a cell, each with the value of its last digit."""
    found = re.findall(r"[+−]?\d[\d,]*(?:\.\d+)?", text)
    return [(float(n.replace("−", "-").replace(",", "")), 10.0 ** -len(n.partition(".")[2])) for n in found]


@pytest.mark.skipif(not METRICS.exists(), reason="no results of MNIST are committed")
def test_the_tables_say_what_the_results_say():
    table, wrong, checked = read_metrics(METRICS), [], 0
    for where, experiment, metric, methods, text in claims():
        values = scores(table, experiment, metric)
        own = (values[methods[0]] - values[methods[1]] if len(methods) == 2 else values[methods[0]]).dropna()
        expected = [own.mean(), *(mean_interval(own) if len(methods) == 2 else [own.std(ddof=1)])]
        printed, checked = numbers(text), checked + 1
        if len(printed) != len(expected) or any(
            abs(p - e) > 0.51 * digit for (p, digit), e in zip(printed, expected, strict=True)
        ):
            wrong.append(f"{where}: {text}, but {', '.join(f'{e:.5g}' for e in expected)}")
    assert not wrong, "\n".join(wrong)
    assert checked > 100
