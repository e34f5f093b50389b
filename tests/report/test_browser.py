"""The page in a browser, opened from a file with the network off: looks, controls, keyboard, screen reader."""

import os
import re

import pytest

from bench.report import page
from tests.support import result_sets

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not os.path.exists(CHROMIUM), reason=f"{CHROMIUM} is not installed"),
]
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
FILES = ["index", "paper", "explore", "how", "experiments/likelihood", "experiments/style", "methods/mmd"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    methods = result_sets.CONFIG["methods"]
    names = [*(f"mmd_{i}" for i in range(1, 6)), "energy", "sinkhorn", "sigreg", "gmmn", "moment_matching"]
    more = {m: {"title": f"MMD {i}", "regularizer": "mmd", "weight": 1 + i} for i, m in enumerate(names, 1)}
    experiments = result_sets.CONFIG["experiments"]
    likelihood = experiments["likelihood"] | {"methods": [*experiments["likelihood"]["methods"], *more]}
    changes = {"methods": methods | more, "experiments": experiments | {"likelihood": likelihood}}
    path, metrics = result_sets.write(tmp_path_factory.mktemp("browser"), referees=True, **changes)
    page.write(path, metrics, metrics.parent / "report")
    return metrics.parent / "report"


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(made, chromium):
    """A function that opens a file of the page; at the end nothing may have been said, nor asked for elsewhere."""
    said, asked, contexts = [], [], []

    def opened(file, size="desktop", scheme="light"):
        width, height = SIZES[size]
        options = {"viewport": {"width": width, "height": height}, "color_scheme": scheme, "offline": True}
        contexts.append(chromium.new_context(**options))
        tab = contexts[-1].new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        name, mark, place = file.partition("#")
        tab.goto(f"{(made / f'{name}.html').as_uri()}{mark}{place}")
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith((made.as_uri(), "data:"))] == []


@pytest.mark.parametrize(
    ("file", "size", "scheme"),
    [*((file, "phone", "dark") for file in FILES), *((file, "desktop", "light") for file in FILES[::4])],
)
def test_a_page_fits_the_screen_and_serves_screen_readers(visit, file, size, scheme):
    from axe_playwright_python.sync_playwright import Axe

    tab, (width, height) = visit(file, size, scheme), SIZES[size]
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate("document.documentElement.scrollHeight") <= 12 * height
    found = Axe().run(tab, options={"preload": False})  # which would ask for the style sheet again
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colour_scheme_is_the_readers(visit, scheme):
    paper = visit("index", scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", paper)[:3])) > 600 if scheme == "light" else 150


def test_the_first_screen_holds_answer_picture_and_links(visit):
    tab = visit("index")
    for part in (".answer", ".caveat", ".picture", ".rule", ".links"):
        box = tab.locator(part).bounding_box()
        assert box["y"] + box["height"] <= 800, part


@pytest.mark.skipif(os.getloadavg()[0] > 2 * os.cpu_count(), reason="the machine is busy: its times say nothing")
def test_the_first_page_can_be_read_in_a_second(visit):
    tab = visit("index")
    assert tab.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd") < 1000
    assert tab.locator("img").count() == 0


def test_a_picture_is_loaded_only_where_it_is_looked_at(visit):
    tab = visit("experiments/likelihood")
    last = tab.locator("figure img").last
    assert last.get_attribute("loading") == "lazy"
    for image in tab.locator("figure img").all():
        image.scroll_into_view_if_needed()
    tab.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


def column(tab, index):
    rows = "[...document.querySelectorAll('#t-likelihood tbody tr:not(.off)')]"
    return tab.evaluate(f"{rows}.map(row => row.cells[{index}].textContent.trim())")


def test_a_table_is_sorted_by_keyboard_and_what_is_missing_stays_last(visit):
    tab = visit("experiments/likelihood")
    tab.locator("#likelihood [data-rows]").click()
    button = tab.locator("#t-likelihood button.sort").nth(2)
    button.focus()
    tab.keyboard.press("Enter")
    up = column(tab, 2)
    tab.keyboard.press("Enter")
    down = column(tab, 2)
    numbers = [float(text.split()[0]) for text in up if not text.startswith("–")]
    assert len(numbers) > 3
    assert numbers == sorted(numbers)
    assert down[: len(numbers)] == up[: len(numbers)][::-1]
    assert all(text.startswith("–") for text in (*up[len(numbers) :], *down[len(numbers) :]))
    assert tab.locator("#t-likelihood th").nth(2).get_attribute("aria-sort") == "descending"


def test_rows_are_filtered_by_words_and_family_and_their_number_is_said(visit):
    tab = visit("experiments/likelihood")
    everything = tab.locator("#t-likelihood tbody tr").count()
    tab.locator("#likelihood [data-filter]").fill("mmd 1")
    shown = tab.locator("#t-likelihood tbody tr:visible")
    assert 0 < shown.count() < everything
    assert all("mmd" in text.lower() for text in shown.all_inner_texts())
    assert f"{shown.count()} of {everything} rows" in tab.locator("#likelihood [role=status]").inner_text()
    tab.locator("#likelihood [data-filter]").fill("")
    tab.locator("#likelihood select[data-family]").select_option("other")
    assert shown.count() == everything


def test_columns_are_hidden_and_shown(visit):
    tab = visit("experiments/likelihood")
    tab.locator("#likelihood .columns summary").click()
    box = tab.locator("#likelihood [data-column]").nth(1)
    assert box.is_checked()
    assert tab.locator("#t-likelihood thead th").nth(2).is_visible()
    box.uncheck()
    assert not tab.locator("#t-likelihood thead th").nth(2).is_visible()
    tab.keyboard.press("Escape")
    assert not box.is_visible()


def test_a_number_leads_to_its_run_and_an_address_can_be_sent(visit):
    tab = visit("experiments/likelihood")
    tab.locator("#t-likelihood td a[href$='#cell-mmd']").first.click()
    tab.wait_for_function("document.getElementById('cell-mmd').closest('details').open")
    assert tab.locator("#cell-mmd pre").first.is_visible()
    again = visit("experiments/likelihood#cell-vae")
    assert "latentbench train" in again.locator("#cell-vae pre").first.inner_text()
    assert again.locator("#cell-vae").is_visible()


def test_from_the_picture_to_the_run_behind_a_cell(visit):
    tab = visit("index")
    tab.locator(".picture td a[href$='#cell-mmd']").first.click()
    tab.wait_for_url("**/experiments/likelihood.html#cell-mmd")
    assert tab.locator("#cell-mmd").is_visible()


@pytest.mark.parametrize("size", SIZES)
def test_the_lists_of_pages_open_by_keyboard_and_close(visit, size):
    tab = visit("experiments/likelihood", size)
    summary = tab.locator("nav summary", has_text="Methods")
    summary.focus()
    tab.keyboard.press("Enter")
    link = tab.locator("nav a[href$='methods/mmd.html']")
    assert link.is_visible()
    tab.keyboard.press("Escape")
    assert not link.is_visible()
    summary.click()
    link.click()
    tab.wait_for_url("**/methods/mmd.html")


def test_the_explorer_shows_a_seed_its_run_and_its_command(visit):
    tab = visit("explore")
    marks = tab.locator("#chart a")
    assert marks.count() == 3 * 10 + 3  # three lie beyond the scale, each a number at its edge
    box = marks.first.bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = tab.locator("#chart [aria-label='tip']")
    tab.wait_for_function("document.querySelector(\"#chart [aria-label='tip']\").textContent.includes('latentbench')")
    assert "seed" in tip.text_content()
    assert "latentbench train" in tip.text_content()


def test_the_explorers_choice_is_in_its_address_and_in_its_table(visit):
    tab = visit("explore")
    tab.locator("[name=experiment]").select_option("style")
    tab.locator("[name=measure]").select_option("reconstruction")
    tab.locator("[name=over]").select_option("seconds")
    assert "experiment=style" in tab.url
    assert "over=seconds" in tab.url
    again = visit("explore#" + tab.url.partition("#")[2])
    assert again.locator("[name=experiment]").input_value() == "style"
    assert again.locator("[name=over]").input_value() == "seconds"
    again.locator("#as-table summary").click()
    assert again.locator("#as-table tbody tr").count() == 2
    again.locator("[name=family]").first.uncheck()
    assert again.locator("#as-table tbody tr").count() == 0
    assert "No method" in again.locator("#chart").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_summary_is_printed_on_one_sheet_in_light_colours(visit, tmp_path, scheme):
    tab = visit("index", scheme=scheme)
    tab.emulate_media(media="print", color_scheme=scheme)
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    assert not tab.locator("nav").is_visible()
    tab.pdf(path=tmp_path / "summary.pdf", format="A4")
    content = (tmp_path / "summary.pdf").read_bytes()
    assert content.count(b"/Type /Page\n") <= 2


def test_without_a_script_everything_is_there(made, chromium):
    context = chromium.new_context(java_script_enabled=False, offline=True)
    tab = context.new_page()
    tab.goto((made / "experiments/likelihood.html").as_uri())
    rows = tab.locator("#t-likelihood tbody tr")
    assert all(row.is_visible() for row in rows.all())
    assert rows.count() == 14
    context.close()
