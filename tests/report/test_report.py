"""The report: one page that needs nothing, says what the statistics say, and leads to every number's origin."""

import base64
import io
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.__main__ import main
from bench.config.reading import ConfigError, load
from bench.report import bibliography, explain, page
from bench.tables import answers, statistics
from bench.tables.tidy_table import read_metrics, scores
from tests.support import result_sets

ROOT = Path(__file__).parents[2]
CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report of a small result set: its path, its config's path and its metrics'."""
    folder = tmp_path_factory.mktemp("report")
    path, metrics = result_sets.write(folder)
    output = metrics.parent / "report.html"
    page.write(str(path), metrics, output)
    return output, path, metrics


class Page(HTMLParser):
    """The links, ids, pictures and table heads of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.ids, self.images, self.heads, self.scripts = [], [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        self.links += [a["href"]] if "href" in a else []
        self.ids += [a["id"]] if "id" in a else []
        if tag == "img":
            self.images.append(a)
        if tag == "th":
            self.heads.append(a)
        if tag in ("script", "link", "iframe", "object"):
            self.scripts.append(a)


def test_it_is_one_file_that_asks_nothing_of_a_network(made):
    page = Page(made[0])
    assert made[0].stat().st_size < 15e6
    assert not [link for link in page.links if link.startswith(("http:", "https:", "//"))]
    assert all(image["src"].startswith("data:image/webp;base64,") for image in page.images)
    assert not [s for s in page.scripts if "src" in s]


def test_links_lead_somewhere(made):
    page = Page(made[0])
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids, link
        elif not link.startswith("data:"):
            assert (made[0].parent / link).stat().st_size, link


def test_pictures_and_tables_speak(made):
    page = Page(made[0])
    assert len(page.images) > 12
    for image in page.images:
        assert len(image["alt"]) > 20
        size = Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2]))).size
        assert size == (int(image["width"]), int(image["height"]))
    assert {a.get("scope") for a in page.heads} == {"col", "row"}


def test_the_first_screen_says_what_the_statistics_say(made):
    output, _, metrics = made
    values = scores(read_metrics(metrics), "likelihood", "log_likelihood")
    c = statistics.compare(values["mmd"], values["aae"])
    text = output.read_text(encoding="utf-8")
    assert c.interval.low > 0
    assert "Here the game is overkill: closed-form MMD is better than AAE." in text
    assert f"+{c.difference:.1f} nats" in text
    assert f"95 % interval +{c.interval.low:.1f} to +{c.interval.high:.1f}" in text
    assert f"{c.p_t:.2g} (paired t-test, 3 seeds)" in text
    assert "diverged seeds 0 of 3 against 0 of 3" in text
    assert "cost ratio 1.01" in text  # 10 + 3.52 + seed against 10 + 3.40 + seed


@pytest.mark.parametrize(
    ("shift", "words"),
    [(0.0, "Here the game is overkill"), (-200.0, "Here the game pays"), (None, "Undecided: 3 seeds cannot tell")],
)
def test_the_verdict_goes_every_way(made, shift, words):
    _, path, metrics = made
    config, table = load(path), read_metrics(metrics)
    rows = (table.method == "mmd") & (table.metric == "log_likelihood")
    if shift is None:
        table.loc[rows, "value"] = [330.0, 352.0, 340.0]
    else:
        table.loc[rows, "value"] += shift
    content = page.question(config, table, page.tables.summary(config, table))
    assert content["way"].startswith(words)


def test_other_references_are_held_beside_the_first(made, monkeypatch):
    _, path, metrics = made
    config, table = load(path), read_metrics(metrics)
    answer = answers.answers(config, table, page.tables.summary(config, table))[0]
    question = answers.words()["question"]
    monkeypatch.setitem(question, "also", ["reconstruction"])
    monkeypatch.setitem(question, "other_references", ["vae", "not in this config"])
    against_aae, against_vae = answers.also(config, table, answer)
    for text, reference in ((against_aae, "aae"), (against_vae, "vae")):
        values = scores(table, "likelihood", "reconstruction")
        c = statistics.compare(values["mmd"], values[reference], higher_is_better=False)
        assert f"{c.difference:+.2f} per image (a reduction counts as positive), 95 % interval" in text
    values = scores(table, "likelihood", "log_likelihood")
    gain = statistics.compare(values["mmd"], values["vae"]).difference
    assert against_vae.startswith("Against VAE: ")
    assert f": {gain:+.1f} nats, 95 % interval" in against_vae


def test_other_challengers_are_held_against_the_reference(made, monkeypatch):
    _, path, metrics = made
    config, table = load(path), read_metrics(metrics)
    found = answers.answers(config, table, page.tables.summary(config, table))
    monkeypatch.setitem(answers.words()["question"], "other_challengers", {"vae": ["reconstruction"], "none": []})
    said = answers.others(config, table, found)
    values = scores(table, "likelihood", "log_likelihood")
    gain = statistics.compare(values["vae"], values["aae"]).difference
    [sentence] = [text for text in said if text.startswith("Likelihood: VAE against AAE: ")]
    assert f": {gain:+.1f} nats, 95 % interval" in sentence
    assert "econstruction" in sentence.split(";")[1]
    assert "Other closed forms" in page.render(config, table, metrics, metrics.parent / "others.html", str(path))[0]


def test_a_lower_error_is_an_improvement(made):
    _, path, metrics = made
    config, table = load(path), read_metrics(metrics)
    found = {a.experiment: a for a in answers.answers(config, table, page.tables.summary(config, table))}
    values = scores(table, "style", "reconstruction")
    assert found["style"].comparison.difference == pytest.approx((values["aae"] - values["mmd"]).mean())
    assert found["style"].p_holm >= found["style"].comparison.p_t


def test_one_seed_answers_nothing(tmp_path):
    path, metrics = result_sets.write(tmp_path, seeds=1, codes=False)
    output = tmp_path / "report.html"
    page.write(str(path), metrics, output)
    text = output.read_text(encoding="utf-8")
    assert "One seed cannot answer it" in text
    assert "no interval from one seed, no test" in text
    assert "One seed has no spread" in text


def test_failures_and_reasons_are_shown(made):
    text = made[0].read_text(encoding="utf-8")
    assert "unsupported: needs a second look" in text
    assert "diverged at epoch 3: a loss is not finite" in text
    assert "2 of 3" in text
    assert "1 of 3 runs" in text  # the VAE's own section


def test_the_checklist_answers_from_the_runs(made):
    text = made[0].read_text(encoding="utf-8")
    section = text[text.index('id="checklist"') : text.index('id="provenance"')]
    assert "1 diverged" in section or "diverged" in section[section.index("Runs left out of a mean") :][:300]
    for expected in ("standard deviation over training seeds", "Splits", "digits", " MB at the peak of a training"):
        assert expected in section


def test_a_cell_leads_to_its_origin(made):
    text = made[0].read_text(encoding="utf-8")
    cell = text[text.index('id="cell-likelihood-mmd"') :]
    cell = cell[: cell.index("</details>")]
    for fact in ("results/tiny/runs/likelihood/mmd-", "/seed2", "c0ffee", "feedface", "A machine", "cpu", "13.5 s"):
        assert fact in cell, fact
    assert re.search(r"latentbench train \S+tiny.yaml likelihood/mmd --device cpu --threads 1", cell)


def test_the_same_bytes_twice_and_without_codes(made, tmp_path):
    output, path, metrics = made
    before = output.read_bytes()
    clone = tmp_path / "results" / "tiny"
    shutil.copytree(metrics.parent, clone, ignore=shutil.ignore_patterns("*.npz", "report.html", "tables"))
    here = Path.cwd()
    try:
        os.chdir(metrics.parent)
        page.write(str(path), Path("metrics.csv"), Path("report.html"))
        first = Path("report.html").read_bytes()
        os.chdir(clone)
        page.write(str(path), Path("metrics.csv"), Path("report.html"))
        assert Path("report.html").read_bytes() == first
    finally:
        os.chdir(here)
        output.write_bytes(before)


def test_a_config_of_which_nothing_ran(tmp_path, capsys):
    """All experiments and methods of the quick preset: everything is missing, and said to be."""
    config = ROOT / "config/full.yaml"
    loaded = load(config)
    rows = [
        {"experiment": e, "method": m, "seed": s, "status": "missing", "reason": "not run"}
        for e, content in loaded.experiments.items()
        for m in content["methods"]
        for s in range(3)
    ]
    metrics = tmp_path / "metrics.csv"
    pd.DataFrame(rows, columns=list(explain.collect.COLUMNS)).to_csv(metrics, index=False)
    page.write(str(config), metrics, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Not answered yet." in text
    assert text.count("No run of this experiment has a number yet.") == len(loaded.experiments)
    assert all(f'id="method-{m}"' in text for m in loaded.methods if "_trial" not in m)


def test_an_experiment_that_the_table_does_not_know_yet(tmp_path):
    path, metrics = result_sets.write(tmp_path)
    table = pd.read_csv(metrics)
    table[table["experiment"] != "style"].to_csv(metrics, index=False)
    output = metrics.parent / "report.html"
    page.write(str(path), metrics, output, jobs=2)
    assert "Style" in output.read_text(encoding="utf-8")


def picture(noise, size=(400, 300)):
    buffer = io.BytesIO()
    Image.effect_noise(size, noise).save(buffer, "png")
    return {"bytes": buffer.getvalue()}


def shown(picture):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture["data"]))).convert("L"), dtype=float)


def test_pictures_are_embedded_as_they_are():
    content = [picture(50), picture(2)]
    before = [np.asarray(Image.open(io.BytesIO(c["bytes"]))) for c in content]
    page.embed(content, jobs=2)
    assert all((shown(c) == b).all() for c, b in zip(content, before, strict=True))
    assert (content[0]["width"], content[0]["height"]) == (400, 300)


def test_of_too_many_pictures_the_largest_lose_detail_and_no_size(monkeypatch):
    content = [picture(50), picture(50), picture(2, (40, 30))]
    before = [np.asarray(Image.open(io.BytesIO(c["bytes"]))) for c in content]
    budget = len(content[0]["bytes"]) * 3 // 2
    monkeypatch.setattr(page, "BUDGET", budget)
    page.embed(content)
    assert sum(len(c["data"]) for c in content) * 3 / 4 < budget
    assert all(shown(c).shape == b.shape for c, b in zip(content, before, strict=True))
    changes = [abs(shown(c) - b).mean() for c, b in zip(content, before, strict=True)]
    assert 1 < max(changes) < 20
    assert changes[2] == 0, "a small picture lost detail before the large ones were enough"


def test_explain_prints_the_same(made, capsys, monkeypatch):
    _, path, metrics = made
    monkeypatch.chdir(metrics.parent.parent.parent)
    assert main(["explain", str(path), "likelihood", "mmd", "2"]) == 0
    text = capsys.readouterr().out
    value = scores(read_metrics(metrics), "likelihood", "log_likelihood")["mmd"][2]
    for fact in (
        f"{value:.3f}",
        "c0ffee",
        "feedface",
        "latents.z.dim: 2",
        "seed2 --device",
    ):
        assert fact in text, fact
    assert main(["explain", str(path), "likelihood", "mdm"]) == 2
    assert "did you mean 'mmd'" in capsys.readouterr().err
    assert main(["explain", str(path), "likelihood", "mmd", "9"]) == 2


def test_citations_of_a_config(made, capsys):
    assert main(["cite", str(made[1])]) == 0
    text = capsys.readouterr().out
    for key in ("makhzani2015", "goodfellow2014", "gretton2012", "kingma2014vae", "alpaydin1998", "breuleux2011"):
        assert len(re.findall(rf"^@\w+{{{key},", text, re.MULTILINE)) == 1, key
    assert "netzer2011" not in text
    assert text.count("{") == text.count("}")


def test_every_reference_can_be_read():
    for key in bibliography.entries():
        found = bibliography.reference(key)
        assert found["who"], key
        assert found["title"], key
        assert re.fullmatch(r"\d{4}", found["year"]), key
        assert not re.search(r"[{}\\]", "".join(found.values())), found


def test_a_bad_table_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.csv"):
        page.write(str(ROOT / "config/quick.yaml"), tmp_path / "no.csv", tmp_path / "r.html")


@pytest.mark.browser
@pytest.mark.skipif(not os.path.exists(CHROMIUM), reason=f"{CHROMIUM} is not installed")
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)], ids=["desktop", "phone"])
def test_a_browser_without_network_opens_it(made, width, height):
    from playwright.sync_api import sync_playwright

    said, asked = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(made[0].as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width

        for image in page.locator("img").all():
            image.scroll_into_view_if_needed()
        page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth > 0)")

        column = (
            "() => [...document.querySelectorAll('#t-likelihood tbody tr')].map(r => r.cells[2].textContent.trim())"
        )
        button = page.locator("#t-likelihood button.sort").nth(2)
        button.focus()
        page.keyboard.press("Enter")
        up = page.evaluate(column)
        page.keyboard.press("Enter")
        down = page.evaluate(column)
        assert [t[:3] for t in up[:3]] == sorted(t[:3] for t in up[:3])
        assert down[:3] == up[:3][::-1]
        assert up[3].startswith("–")
        assert down[3].startswith("–")  # what is missing stays last
        assert page.locator("#t-likelihood th").nth(2).get_attribute("aria-sort") == "descending"

        search = page.locator("input[data-filter='t-paper_table_1']")
        search.fill("aae")
        shown = page.locator("#t-paper_table_1 tbody tr:visible")
        assert 0 < shown.count() < page.locator("#t-paper_table_1 tbody tr").count()
        assert all("aae" in text.lower() for text in shown.all_inner_texts())

        page.locator("#t-likelihood td a[href='#cell-likelihood-mmd']").first.click()
        page.wait_for_function("document.getElementById('cell-likelihood-mmd').open")
        assert page.locator("#cell-likelihood-mmd pre").last.is_visible()
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("data:", made[0].as_uri()))] == []
