"""README.md, results/README.md and docs/findings say what the results say."""

import json

import pytest

from bench.report import documents, quotations
from bench.tables import answers
from tests.support.tidy import tidy
from tests.tables.test_answers import BASE, config_of

AGAIN = "; `python -m bench.report.documents` writes the numbers again and names what no longer holds"


@pytest.mark.parametrize("path", documents.paths(), ids=lambda p: p.name if p.parent.name == "findings" else str(p))
def test_a_document_says_what_the_results_say(path):
    text = path.read_text(encoding="utf-8")
    assert documents.written(text) == text, f"{path} has numbers of other results{AGAIN}"
    assert list(documents.wrong(text)) == [], path


def test_the_pictures_are_those_of_the_results(tmp_path):
    documents.draw(tmp_path)
    drawn = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert drawn == {path.name: path.read_bytes() for path in documents.PICTURES.iterdir()}, AGAIN


def test_the_documents_are_short():
    readme, results = (documents.ROOT / name for name in ("README.md", "results/README.md"))
    assert len(readme.read_text().splitlines()) < 100
    assert len(documents.FIELD.sub(lambda m: m[4], results.read_text()).encode()) < 8000


def test_the_example_of_the_readme_runs():
    [code] = documents.re.findall(
        r"```python\n(.*?)```", (documents.ROOT / "README.md").read_text(), documents.re.DOTALL
    )
    found = {}
    exec(code, found)
    assert found["encoder"].weight.grad.abs().sum() > 0
    assert len(code.splitlines()) == 8


@pytest.fixture
def own(monkeypatch):
    """A result set of two methods, of which the MMD is 40 nats ahead, and errs by half a point less."""
    config = config_of("aae", "mmd", likelihood={}, classes={})
    noise = BASE % 3 / 100
    table = tidy(
        {
            ("likelihood", "aae", "log_likelihood"): BASE,
            ("likelihood", "mmd", "log_likelihood"): BASE + 40 + noise,
            ("classes", "aae", "error"): [5.0, 5.1, 5.2, 5.3],
            ("classes", "mmd", "error"): [4.5, 4.61, 4.7, 4.8],
        }
    )
    found = quotations.Known(config, table, answers.picture(config, table))
    monkeypatch.setattr(documents, "known", lambda name: found)


def test_a_number_is_written_in_again(own):
    text = "The AAE has <!--{mean aae likelihood log_likelihood}-->1.0 ± 9.9<!--{}--> nats."
    again = documents.written(text)
    assert again == "The AAE has <!--{mean aae likelihood log_likelihood}-->303.5 ± 5.1<!--{}--> nats."
    assert documents.written(again) == again


def test_what_nobody_trained_is_no_training():
    """Of the committed results: baselines such as k-means are rows, too."""
    of = quotations.known("mnist_wide")
    records = [line for line in (documents.ROOT / "results/mnist_wide/runs.jsonl").read_text().splitlines()]
    trained = [r for line in records if (r := json.loads(line)).get("record", {}).get("status") == "ok"]
    assert quotations.runs(of).startswith(f"{len(trained):,} trainings, ")
    assert len(trained) < len(records)


def test_a_difference_is_said_in_words(own):
    assert documents.written("<!--{said mmd aae classes error}--><!--{}-->").startswith(
        "<!--{said mmd aae classes error}-->better than AAE (+0.50 points, +0.49 to +0.51)"
    )
    assert "worse than MMD (−40.0 nats" in documents.written("<!--{said aae mmd likelihood log_likelihood}--><!--{}-->")


def test_a_difference_of_one_seed_is_said_without_an_interval(own, monkeypatch):
    table = documents.known("").table
    found = documents.known("")._replace(table=table[(table["method"] != "mmd") | (table["seed"] == 0)])
    monkeypatch.setattr(documents, "known", lambda name: found)
    assert "better than" not in documents.written("<!--{said mmd aae classes error}--><!--{}-->")
    assert "from AAE (+0.50 points, one seed)" in documents.written("<!--{said mmd aae classes error}--><!--{}-->")


def test_a_table_has_its_verdicts_against_the_first_row(own):
    lines = documents.written(
        "<!--{table aae,mmd,gone likelihood,classes log_likelihood,error}--><!--{}-->"
    ).splitlines()
    assert lines[1] == "|  | Likelihood, Parzen log-likelihood (nats) | Classes, Test error (%) |"
    assert lines[3:5] == ["| AAE | 303.5 ± 5.1 | 5.15 ± 0.13 |", "| MMD | 343.5 ± 5.1 ▲ | 4.65 ± 0.13 ▲ |"]
    assert len(lines) == 6


def test_differences_are_the_picture_as_a_table(own):
    """The reference's own value in bold, the others' differences to it."""
    lines = documents.written("<!--{differences}--><!--{}-->").splitlines()
    assert lines[1] == "|  | Parzen 10k (nats) |"
    assert lines[3] == "| AAE | **303.5** |"
    assert lines[4].startswith("| MMD | +40 (+40 to +40) ▲")
    costs = documents.written("<!--{differences critics}--><!--{}-->").splitlines()
    assert costs[1] == "|  | Parzen 10k (nats) | a step, × AE |"
    assert costs[3] == "| AAE | **303.5** | 2.22 |"


def test_what_no_result_says_is_named(own):
    claims = "So. <!--{claim mmd better aae classes error}--> <!--{claim aae level mmd classes error}-->"
    assert list(documents.wrong(claims)) == ["claim aae level mmd classes error: it is worse"]
    assert list(documents.wrong("474 trainings: 3.4 nats, 17 %, +5 points of 5,000 epochs, at 95 %.")) == [
        f"{n!r}: a number that no result says" for n in ("474 trainings", "3.4 nats", "17 %", "+5 points")
    ]
    assert list(documents.wrong("<!--{mean aae classes error}-->4.1<!--{}-->")) != []


def test_what_is_not_there_is_an_error(own):
    for asked in (
        "mean vae classes error",
        "said mmd vae classes error",
        "printed nobody 100",
        "table vae classes error",
    ):
        with pytest.raises(KeyError):
            documents.written(f"<!--{{{asked}}}--><!--{{}}-->")
