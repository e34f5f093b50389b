"""The page: a folder of its own numbers, every link of which leads somewhere; what fails costs its own part."""

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bench.config import plugins
from bench.config.reading import ConfigError, check, load
from bench.figures import scores as score_figures
from bench.report import experiments, explorer, html, methods, overall_tables, page
from bench.tables.answers import picture
from bench.tables.tidy_table import read_metrics, scores
from tests.support import result_sets
from tests.support.tidy import tidy


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A result set and its page: the config's path, the table's, the page's folder, what the terminal says."""
    path, metrics = result_sets.write(tmp_path_factory.mktemp("page"))
    said = page.write(path, metrics, metrics.parent / "report")
    return path, metrics, metrics.parent / "report", said


@pytest.fixture
def no_figures(monkeypatch):
    """For tests of the words alone: figures take longest."""
    monkeypatch.setattr(page.drawing, "make", lambda *_, **__: {"figures": {}, "left_out": {}})


class Links(HTMLParser):
    """What a page links to and loads, and the places in it that can be linked to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.links += [found[name] for name in ("href", "src") if found.get(name)]
        self.ids += [found["id"]] if "id" in found else []


def pages(folder):
    return {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in folder.rglob("*.html")}


def broken(folder):
    """The links of a page's folder that lead nowhere, and the places that two things have."""
    found, wrong = {name: Links(text) for name, text in pages(folder).items()}, []
    for name, links in found.items():
        wrong += [f"{name}: two of #{i}" for i in set(links.ids) if links.ids.count(i) > 1]
        for link in links.links:
            parts = urlsplit(link)
            if parts.scheme in ("https", "data"):
                continue
            target = (folder / name).parent / unquote(parts.path) if parts.path else folder / name
            if not target.resolve().is_file():
                wrong.append(f"{name}: {link}")
            elif parts.fragment and target.suffix == ".html" and "=" not in parts.fragment:
                place = target.resolve().relative_to(folder.resolve()).as_posix()
                if unquote(parts.fragment) not in found[place].ids:
                    wrong.append(f"{name}: no place {link}")
    return wrong


def test_a_page_for_each_experiment_and_method_and_every_link_leads_somewhere(made):
    folder = made[2]
    assert set(pages(folder)) == {
        "index.html", "paper.html", "explore.html", "how.html", "experiments/likelihood.html", "experiments/style.html",
        "methods/aae.html", "methods/mmd.html", "methods/vae.html", "methods/broken.html",
    }  # fmt: skip
    assert broken(folder) == []


def test_nothing_is_loaded_from_elsewhere_and_the_first_page_is_small(made):
    folder = made[2]
    for name, text in pages(folder).items():
        assert not re.search(r'(src|<link[^>]*href)="(https?:)?//', text), name
    first = ["index.html", "assets/page.css", "assets/page.js"]
    assert set(re.findall(r'(?:src|stylesheet" href)="([^"]+)"', pages(folder)["index.html"])) == {*first[1:]}
    assert sum((folder / name).stat().st_size for name in first) < 200_000


def test_the_first_screen_is_the_picture_of_the_tables(made):
    path, metrics, folder, said = made
    found, text = picture(load(path), read_metrics(metrics)), pages(folder)["index.html"]
    assert found.question in text
    assert found.answer in html.minus(text)
    assert f"page: {folder / 'index.html'}" in said
    assert found.answer in " ".join(said.split())
    cells = re.findall(r'<td class="(better|worse|level|undecided|reference|none)"', text)
    assert cells == [c.word if c else "none" for row in found.rows for c in row.cells]


@pytest.fixture
def two_adversaries():
    """A config of two adversaries and a closed form, which has no number of clusters; and its table."""
    methods = {m: {"title": m, "regularizer": "adversarial"} for m in ("aae", "aae_r1")} | {
        m: {"title": m, "regularizer": "mmd"} for m in ("mmd", "mmd_energy")
    }
    latents = {"latents": {"z": {"prior": "gaussian", "dim": 2}}, "decoder": ["z"], "evaluations": ["reconstruction"]}
    latents |= {"methods": list(methods)}
    content = result_sets.CONFIG | {"methods": methods}
    content |= {"experiments": {"semi_supervised": latents, "clustering": latents}}
    noise = np.array([0.1, -0.2, 0.1])
    values = {
        ("semi_supervised", "aae", "error"): 9 + noise, ("semi_supervised", "aae_r1", "error"): 7 - noise,
        ("semi_supervised", "mmd", "error"): 8 + noise, ("semi_supervised", "mmd_energy", "error"): 8.5 + noise,
        ("clustering", "aae", "clustering_error_majority"): 20 + noise,
        ("clustering", "aae_r1", "clustering_error_majority"): 21 - noise,
    }  # fmt: skip
    return check(content, [("test", content)]), tidy(values)


def test_the_overview_holds_the_best_adversary_against_the_challenger(two_adversaries, tmp_path):
    built = page.Page(*two_adversaries, tmp_path / "metrics.csv", tmp_path / "report", "c.yaml")
    rows = [[e.plain for e in row] for row in built.overview().rows]
    assert rows[0][1:] == ["7.00 ± 0.17 (aae_r1)", "8.50 ± 0.17 (mmd_energy)", "worse", "Test error (%)"]
    assert rows[1][1:] == ["–"] * 4


def test_the_overview_is_by_what_the_answer_counts(two_adversaries, tmp_path):
    config, table = two_adversaries
    first = table.assign(metric=table["metric"].replace("error", "log_likelihood"), experiment="likelihood")
    both = pd.concat([first, first.assign(metric="ais_log_likelihood")])
    experiments_ = {"likelihood": config.experiments["semi_supervised"]}
    config = config.model_copy(update={"experiments": experiments_})
    [row] = page.Page(config, both, tmp_path / "metrics.csv", tmp_path / "report", "c.yaml").overview().rows
    assert row[-1].text == "AIS log-likelihood (nats)"


def test_what_the_config_asks_for_and_was_not_run_is_no_finished_run(two_adversaries):
    config, table = two_adversaries
    late = (table["method"] == "aae") & (table["experiment"] == "clustering") & (table["seed"] > 0)
    rows = [[e.text for e in row] for row in overall_tables.failures(config, table[~late]).rows]
    assert rows == [
        ["aae", "Clustering", "1, 2", "not run"],
        ["mmd", "Clustering", "0, 1, 2", "not run"],
        ["mmd_energy", "Clustering", "0, 1, 2", "not run"],
    ]


def test_measures_are_not_summed_up_of_adversaries_alone(two_adversaries):
    config, table = two_adversaries
    assert explorer.together(config, table, picture(config, table)) is None
    more = tidy({("clustering", "mmd", "clustering_error_majority"): [19.0, 19.5, 20.0]})
    table = pd.concat([table, more])
    found = explorer.together(config, table, picture(config, table))
    assert "mmd" in {row[0].text for row in found.table.rows}


def test_a_table_opens_with_the_best_of_each_family(made):
    config = load(made[0])
    config = config.model_copy(update={"methods": config.methods | {"moment_matching": config.methods["mmd"]}})
    means = pd.Series({"aae": 5.0, "mmd": 4.0, "moment_matching": 3.0, "k-means": 1.0})
    assert "moment_matching" not in experiments.first(config, "log_likelihood", means)
    assert "moment_matching" in experiments.first(config, "error", means)


def test_every_number_of_a_table_leads_to_its_run_and_its_command(made):
    text = pages(made[2])["experiments/likelihood.html"]
    main = text[text.index('id="t-likelihood"') : text.index("</table>")]
    numbers = re.findall(r"<td[^>]*>(.*?)</td>", main)
    shown = [n for n in numbers if re.search(r"\d ±|\d\.\d", n)]
    assert shown
    assert all('href="../experiments/likelihood.html#cell-' in n for n in shown)
    cell = text[text.index('id="cell-mmd"') :]
    cell = cell[: cell.index("</details>")]
    for fact in ("likelihood/mmd-", "/seed2", "c0ffee", "A machine", "cpu", "13.5 s"):
        assert fact in cell, fact
    assert re.search(r"latentbench train \S+ likelihood/mmd --force --device cpu --threads 1", cell)


def test_failures_and_reasons_are_shown(made):
    found = pages(made[2])
    assert "unsupported: needs a second look" in found["how.html"]
    assert "diverged at epoch 3: a loss is not finite" in found["how.html"]


def test_a_method_says_what_its_plug_in_says_with_its_formula_typeset(made):
    text = pages(made[2])["methods/mmd.html"]
    assert '<math tabindex="0" xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in text
    assert "Gretton et al. (2012)" in text
    for name in plugins.declared("regularizers", "mmd").defaults:
        assert f">{name}</th>" in text or f">{name}</td>" in text, name


def test_the_same_bytes_twice_and_from_the_committed_files_alone(made, tmp_path, monkeypatch):
    path, metrics, first, _ = made
    clone = tmp_path / "results" / "tiny"
    shutil.copytree(metrics.parent, clone, ignore=shutil.ignore_patterns("runs", "report"))
    monkeypatch.chdir(clone)
    page.write(path, Path("metrics.csv"), tmp_path / "second", jobs=2)
    files = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    again = sorted(p.relative_to(tmp_path / "second") for p in (tmp_path / "second").rglob("*") if p.is_file())
    assert files == again
    for name in files:
        here = (first / name).read_bytes().replace(metrics.as_posix().encode(), b"metrics.csv")
        assert here == (tmp_path / "second" / name).read_bytes(), name


def test_no_torch_is_imported_for_a_page_without_codes(tmp_path):
    path, metrics = result_sets.write(tmp_path, seeds=2, codes=False)
    program = (
        "import sys; from pathlib import Path; from bench.report import page;"
        "page.write(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, path, metrics, tmp_path / "report"], check=True)


def test_a_config_of_which_nothing_ran(tmp_path, no_figures):
    """All experiments and methods of the quick preset: everything is missing, and said to be."""
    config, facts = load("config/quick.yaml"), {"status": "missing", "reason": "not run", "current": False}
    rows = [
        {"experiment": e, "method": m, "seed": s, **facts}
        for e, content in config.experiments.items()
        for m in content["methods"]
        for s in range(3)
    ]
    blank = ("metric", "value", "standard_error", "n", "split", "epoch", "run", "commit", "dirty", "data", "device",
             "machine", "threads", "backend", "seconds", "peak_memory_mb", "versions", "version")  # fmt: skip
    table = pd.DataFrame(rows).assign(**dict.fromkeys(blank)).astype({"value": float, "seconds": float})
    built = page.Page(config, table, tmp_path / "metrics.csv", tmp_path / "report", "config/quick.yaml")
    built.make(1, ("png",))
    assert built.left_out == []
    found = pages(tmp_path / "report")
    assert "Not answered yet" in found["index.html"]
    assert sum("No run of this experiment has a number yet." in t for t in found.values()) == len(config.experiments)
    assert broken(tmp_path / "report") == []


NAMES = [
    "$x_{$",
    "<b>&\"'",
    "</script><script>",
    "a\nb | c",
    "{{ 7 * 6666667 }}",
    "-1",
    "汉字 ‮ ✓",
    "x" * 300,
    "#cell-a-b",
    "\x00\x1b",
]


@pytest.mark.parametrize("names", [NAMES[:4], NAMES[4:8], NAMES[8:]], ids=["markup", "templates", "places"])
def test_titles_of_any_characters_cost_nothing(made, tmp_path, no_figures, names):
    path, metrics, *_ = made
    config = load(path)
    titled = {
        section: {k: v | {"title": names[i % len(names)]} for i, (k, v) in enumerate(getattr(config, section).items())}
        for section in ("methods", "experiments")
    }
    config = config.model_copy(update={k: getattr(config, k) | v for k, v in titled.items()})
    built = page.Page(config, read_metrics(metrics), metrics, tmp_path / "report", str(path))
    built.make(1, ("png",))
    assert built.left_out == []
    assert broken(tmp_path / "report") == []
    for text in pages(tmp_path / "report").values():
        assert "46666669" not in text
        assert "<script>" not in text


@hypothesis_settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(title=st.text(max_size=40))
@example(title="</script>")
def test_the_explorers_data_survive_any_title(made, title):
    path, metrics, *_ = made
    config = load(path)
    config = config.model_copy(update={"methods": config.methods | {"mmd": config.methods["mmd"] | {"title": title}}})
    text = explorer.data(config, read_metrics(metrics), "x")
    assert text.startswith("window.DATA = ")
    assert "</" not in text
    found = json.loads(text.removeprefix("window.DATA = ").removesuffix(";\n"))
    assert found["methods"]["mmd"]["short"] == methods.short(config, "mmd")


def test_the_explorer_has_every_number_of_every_seed(made):
    _, metrics, folder, _ = made
    text = (folder / "assets/data.js").read_text(encoding="utf-8")
    found = json.loads(text.removeprefix("window.DATA = ").removesuffix(";\n"))["experiments"]["likelihood"]
    values = scores(read_metrics(metrics), "likelihood", "log_likelihood")
    shown = {(found["methods"][i], seed): v for i, seed, v in found["measures"]["log_likelihood"]["values"]}
    expected = values.stack().dropna()
    assert {(m, s) for s, m in expected.index} == set(shown)
    for (seed, method), value in expected.items():
        assert shown[method, seed] == pytest.approx(value, rel=1e-5)


def test_a_plug_in_that_cannot_be_read_costs_its_own_section(made, tmp_path, no_figures, monkeypatch):
    path, metrics, *_ = made
    real = plugins.declared

    def broken_one(kind, name):
        if name == "mmd":
            raise LookupError("mmd.py: SyntaxError: '(' was never closed")
        return real(kind, name)

    monkeypatch.setattr(plugins, "declared", broken_one)
    said = page.write(path, metrics, tmp_path / "report")
    found = pages(tmp_path / "report")
    assert "left out" not in said
    assert "never closed" in html.minus(found["methods/mmd.html"])
    assert "Its mean ± sd" in found["methods/mmd.html"]
    assert "<math" in found["methods/vae.html"]
    assert broken(tmp_path / "report") == []


@pytest.mark.parametrize(
    "parts", [["experiments.view", "methods.view", "overall.failures", "explorer.data"], ["answers.picture"]]
)
def test_parts_that_fail_are_named_and_cost_themselves(made, tmp_path, no_figures, monkeypatch, parts):
    path, metrics, whole, _ = made

    def failing(part):
        def fail(*_):
            raise ArithmeticError(f"bad {part}")

        return fail

    for part in parts:
        module, name = part.split(".")
        monkeypatch.setattr(getattr(page, module), name, failing(part))
    said = page.write(path, metrics, tmp_path / "report")
    assert all(f"bad {part}" in said for part in parts)
    assert set(pages(tmp_path / "report")) == set(pages(whole))
    if parts != ["answers.picture"]:
        assert pages(tmp_path / "report")["index.html"] == pages(whole)["index.html"]


def test_a_figure_that_fails_is_named_on_its_page(made, tmp_path, monkeypatch):
    path, metrics, *_ = made

    def fail(*_):
        raise ArithmeticError("one bad figure")

    monkeypatch.setattr(score_figures, "score_figure", fail)
    monkeypatch.setattr(page.drawing, "MAKERS", page.drawing.MAKERS[:2])  # of scores, and of curves
    page.write(path, metrics, tmp_path / "report")
    text = pages(tmp_path / "report")["experiments/likelihood.html"]
    assert "one bad figure" in text
    assert 'id="learning"' in text
    assert broken(tmp_path / "report") == []


def test_the_old_page_goes_whole_and_stays_whole_when_the_new_one_cannot_be_made(
    made, tmp_path, no_figures, monkeypatch
):
    path, metrics, *_ = made
    (tmp_path / "report").mkdir()
    (tmp_path / "report/old.html").write_text("")
    page.write(path, metrics, tmp_path / "report")
    before = pages(tmp_path / "report")
    assert "old.html" not in before
    assert [p.name for p in tmp_path.iterdir()] == ["report"]

    def full(*_):
        raise OSError(28, "No space left on device")

    replace, calls = os.replace, []

    def second_fails(*paths):
        calls.append(paths)
        return full() if len(calls) == 2 else replace(*paths)

    monkeypatch.setattr(page.os, "replace", second_fails)
    with pytest.raises(OSError, match="No space"):
        page.write(path, metrics, tmp_path / "report")
    monkeypatch.setattr(page.os, "replace", replace)
    assert pages(tmp_path / "report") == before
    monkeypatch.setattr(page.Page, "make", full)
    with pytest.raises(OSError, match="No space"):
        page.write(path, metrics, tmp_path / "report")
    assert pages(tmp_path / "report") == before
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_a_bad_table_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.csv") as caught:
        page.write("config/quick.yaml", tmp_path / "no.csv", tmp_path / "report")
    assert "\n" not in str(caught.value)


def test_libraries_are_as_they_were_published():
    """D3 and Observable Plot, unchanged from their npm packages (both ISC): their files' SHA-256."""
    from bench.records.whole_files import sha256

    expected = {
        "d3.min.js": "f2094bbf6141b359722c4fe454eb6c4b0f0e42cc10cc7af921fc158fceb86539",
        "plot.umd.min.js": "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb",
    }
    assert {name: sha256((page.ASSETS / name).read_bytes()) for name in expected} == expected
