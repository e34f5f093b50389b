"""What bench.perf measured, in the report."""

import math

import pytest

from bench.perf.timing import write
from bench.report.measurements import FOLDER, measurements


def test_rows_of_different_columns_become_one_table_for_each_machine(tmp_path):
    write(
        str(tmp_path / "mmd.json"),
        [{"loss": "ours", "ms": 0.12345}, {"loss": "theirs", "skipped": "too slow"}],
        "The MMD.\n\nMore.",
    )
    (tmp_path / "of_another_program.json").write_text('{"rows": [{"a": 1}]}')
    write(str(tmp_path / "mmd-amd.json"), [{"loss": "ours", "ms": 3.0}], "The MMD.")
    other, found = measurements(tmp_path)
    assert other.name == "performance-mmd-amd"
    assert other.caption.startswith("The MMD. `latentbench perf mmd`; ")
    assert found.name == "performance-mmd"
    assert found.head == ["loss", "ms", "skipped"]
    assert [[e.text for e in row] for row in found.rows] == [["ours", "0.123", "–"], ["theirs", "–", "too slow"]]
    assert "processor" in found.caption


@pytest.mark.skipif(not FOLDER.exists(), reason="no measurement is committed")
def test_the_committed_measurements_are_tables_of_numbers():
    for table in measurements():
        numbers = [e.value for row in table.rows for e in row if e.value is not None]
        assert numbers
        assert all(math.isfinite(v) for v in numbers)


def test_without_measurements_there_are_no_tables(tmp_path):
    assert measurements(tmp_path) == []
