"""Two result sets compared: the same, within noise, changed, longer; and files that are no result set."""

import pandas as pd
import pytest

from bench.config.reading import ConfigError
from bench.tables import compare
from bench.tables.tidy_table import read_metrics
from tests.support.tidy import tidy, write

SCORES = {
    ("likelihood", "mmd", "log_likelihood"): [300.0, 302.0, 299.0],
    ("likelihood", "aae", "log_likelihood"): [290.0, 295.0, 292.0],
    ("likelihood", "null", "log_likelihood"): [1.0, 2.0, 3.0],
    ("likelihood", "vae", "sigma"): [0.1, None, 0.3],
}


@pytest.fixture
def table():
    return tidy(SCORES, standard_error=2.0)


def differ(a, b, folder):
    """The text, and whether anything changed but for additions."""
    write(a, folder / "a")
    write(b, folder / "b")
    return compare.diff(folder / "a", folder / "b" / "metrics.csv")


def shifted(table, *by):
    """The table with the log-likelihoods of one method changed by as much, seed by seed."""
    changed = table.copy()
    changed.loc[changed.method == "mmd", "value"] += list(by)
    return changed


def test_the_same_is_identical_wherever_it_ran(table, tmp_path):
    text, changed = differ(table, table.assign(machine="B", seconds=1.5, commit="d00d"), tmp_path)
    assert not changed
    assert "11 of 11 numbers that both have are identical" in text
    assert "nothing changed" in text


def test_noise_is_within_noise(table, tmp_path):
    text, changed = differ(table, shifted(table, 0.5, -0.7, 0.1), tmp_path)
    assert not changed
    assert "within noise" in text
    assert "1 cells with other numbers" in text


def test_a_shift_is_found_with_its_interval(table, tmp_path):
    text, changed = differ(table, shifted(table, -10, -10.1, -9.9), tmp_path)
    assert changed
    row = next(line for line in text.splitlines() if "log_likelihood" in line)
    assert "-10.00" in row
    assert "-10.25 to -9.75" in row  # 10 ± 4.303 · 0.1 / √3


def test_only_the_seeds_of_both_are_held_against_each_other(table, tmp_path):
    """Three seeds against one: their means differ by chance, the run that both have does not."""
    text, changed = differ(table[table.seed == 1], table, tmp_path)
    assert not changed
    assert "Only in B" in text
    row = next(line for line in text.splitlines() if "mmd" in line)
    assert "0, 2" in row
    assert "300.0, 299.0" in row


def test_a_pure_addition_changes_nothing_and_is_listed_with_its_values(table, tmp_path):
    text, changed = differ(table[table.method != "mmd"], table, tmp_path)
    assert not changed
    assert "300.0, 302.0, 299.0" in text
    assert "Only in A" not in text


def test_what_is_lost_is_a_change_and_is_listed_with_its_values(table, tmp_path):
    text, changed = differ(table, table[table.method != "mmd"], tmp_path)
    assert changed
    assert "Only in A" in text
    assert "300.0, 302.0, 299.0" in text


def test_a_run_that_ended_otherwise_is_told(table, tmp_path):
    other = table.copy()
    other.loc[(other.method == "vae") & (other.seed == 1), "status"] = "timeout"
    text, changed = differ(table, other, tmp_path)
    assert changed
    assert "likelihood/vae seed 1: diverged: a loss is not finite -> timeout: a loss is not finite" in text


def test_another_data_set_says_whether_the_order_of_the_methods_holds(table, tmp_path):
    """mmd, aae, vae on both, though the numbers themselves are worlds apart; null fails on the other."""
    vae = tidy({("likelihood", "vae", "log_likelihood"): [9.0, 8.0, 9.0]})
    elsewhere = pd.concat([table[table.method != "null"], vae]).assign(version="0-1")
    elsewhere["value"] = elsewhere["value"] * 2 - 900
    text, _ = differ(pd.concat([table, vae]), elsewhere, tmp_path)
    [row] = [line for line in text[text.index("order the methods") :].splitlines() if "Parzen" in line]
    assert [cell.strip() for cell in row.strip("|").split("|")][2:5] == ["3", "3", "+1.00"]
    assert "order the methods" not in differ(table, table, tmp_path)[0]


def test_one_seed_is_no_test(table, tmp_path):
    one = table[table.seed == 0]
    text, changed = differ(one, shifted(one, 0.001), tmp_path)
    assert changed
    assert "no test possible" in text


@pytest.mark.parametrize(
    "line",
    [
        "inf",
        ",,,,,,,,",
        "run,p,m,−31,31,,,test,1",
        "r,p,m,nan,,,test,1",
        "r,p,m,1,,,test",
        "r,p,m,1,-1,9,test,1",
        "r,p,m,1,1,0,test,1",
        "r,p,m,1,1,9.5,test,1",
        "r,p,m,1,1,9,tset,1",
    ],
)
def test_a_line_that_is_no_measurement_is_named(table, tmp_path, line):
    path = write(table, tmp_path / "a")
    rows = path.read_text().splitlines()
    fields = rows[3].split(",")
    rows[3] = ",".join([*fields[:3], line, *fields[4:]]) if line == "inf" else line
    path.write_text("\n".join(rows) + "\n")
    for read in (read_metrics, lambda p: compare.diff(p, p)):
        with pytest.raises(ConfigError, match=r"metrics\.csv:4: expected a measurement") as error:
            read(path)
        assert "\n" not in str(error.value)


def test_a_table_that_is_none_or_alone_is_named(table, tmp_path):
    (tmp_path / "metrics.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match=r"metrics\.csv: not there with runs\.jsonl beside it"):
        read_metrics(tmp_path / "metrics.csv")
    with pytest.raises(ConfigError, match=r"no\.csv"):
        compare.diff(tmp_path / "no.csv", tmp_path)
    path = write(table, tmp_path / "set")
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match=r"metrics\.csv:1: expected the columns run, protocol"):
        read_metrics(path)


def test_a_result_set_is_read_as_it_was_written(table, tmp_path):
    """Also of a method that is called null."""
    found = read_metrics(write(table, tmp_path / "set"))
    columns = ["experiment", "method", "seed", "metric", "value", "status"]
    texts = [t.sort_values(["method", "seed"])[columns].to_csv(index=False) for t in (found, table)]
    assert texts[0] == texts[1]
    assert set(found["method"]) == {"mmd", "aae", "null", "vae"}
