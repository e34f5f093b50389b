"""Two result sets compared: the same, within noise, changed."""

import pandas as pd
import pytest

from bench.config.reading import ConfigError
from bench.tables import compare
from tests.support import result_sets


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A tidy table."""
    return pd.read_csv(result_sets.write(tmp_path_factory.mktemp("diff"), codes=False)[1])


def differ(a, b, folder, _):
    """Whether anything changed from one table to another, and the text."""
    for name, content in (("a", a), ("b", b)):
        (folder / name).mkdir()
        content.to_csv(folder / name / "metrics.csv", index=False)
    text, changed = compare.diff(folder / "a", folder / "b" / "metrics.csv")
    return int(changed), text


def shifted(table, *by):
    """The table with the log-likelihoods of one method changed by as much, seed by seed."""
    changed = table.copy()
    where = (changed.method == "mmd") & (changed.metric == "log_likelihood")
    changed.loc[where, "value"] += list(by)
    return changed


def test_the_same_is_byte_identical(table, tmp_path, capsys):
    status, text = differ(table, table, tmp_path, capsys)
    assert status == 0
    assert f"byte-identical rows: {len(table)}; identical but for provenance: 0" in text
    assert "nothing changed" in text


def test_another_machine_is_only_provenance(table, tmp_path, capsys):
    status, text = differ(table, table.assign(machine="B", seconds=1.5, commit="d00d"), tmp_path, capsys)
    assert status == 0
    assert f"byte-identical rows: 0; identical but for provenance: {len(table)}" in text


def test_noise_is_within_noise(table, tmp_path, capsys):
    status, text = differ(table, shifted(table, 0.5, -0.7, 0.1), tmp_path, capsys)
    assert status == 0
    assert "within noise" in text
    assert "1 cells with other numbers" in text


def test_a_shift_is_found_with_its_interval(table, tmp_path, capsys):
    status, text = differ(table, shifted(table, -10, -10.1, -9.9), tmp_path, capsys)
    assert status == 1
    row = next(line for line in text.splitlines() if "log_likelihood" in line)
    assert "-10.00" in row
    assert "-10.25 to -9.75" in row  # 10 ± 4.303 · 0.1 / √3
    assert "paired t" in row


def test_other_seeds_are_compared_unpaired(table, tmp_path, capsys):
    other = shifted(table, -40, -40, -40).assign(seed=lambda t: t.seed + 10)
    status, text = differ(table, other, tmp_path, capsys)
    assert status == 1
    assert "Welch" in text


def test_one_seed_is_judged_by_the_images(table, tmp_path, capsys):
    one = table[table.seed == 0]
    status, text = differ(one, shifted(one, 0.5), tmp_path, capsys)
    assert status == 0
    assert "z over images" in text


def test_one_seed_without_a_standard_error_is_no_noise(table, tmp_path, capsys):
    one = table[table.seed == 0].assign(standard_error=None)
    status, text = differ(one, shifted(one, 0.001), tmp_path, capsys)
    assert status == 1
    assert "no test possible" in text


def test_what_is_missing_or_failed_is_told(table, tmp_path, capsys):
    lost = table[~((table.method == "aae") & (table.metric == "sigma"))].copy()
    lost.loc[(lost.method == "vae") & (lost.seed == 1), "status"] = "timeout"
    status, text = differ(table, lost, tmp_path, capsys)
    assert status == 1
    assert "only in A: likelihood/aae/sigma" in text
    assert "likelihood/vae seed 1: diverged" in text


def test_nothing_to_compare(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.csv"):
        compare.diff(tmp_path / "no.csv", tmp_path)
