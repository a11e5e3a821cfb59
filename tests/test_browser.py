"""The pages in a real browser: read offline, on any screen, by keyboard, in the dark.

Where TUTORIALS_SCREENSHOTS names a folder, a picture of every page is left there.
"""

import functools
import http.server
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Error, expect, sync_playwright
from scipy import stats

from tutorials_lib.runs.chapters import book_folder
from tutorials_lib.runs.profiles import CHAPTERS
from tutorials_lib.runs.site import read_address

pytestmark = pytest.mark.book

AROUND = (
    "scoreboard",
    "full_runs",
    "status",
    "how_to_run",
    "full_book",
    "architecture",
)
PAGES = ("index", *CHAPTERS, *AROUND, "glossary", "references", "search")
WIDE, NARROW = 1280, 360
MEGABYTE = 1024 * 1024


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(site):
    """The pages as a server on this machine gives them out."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    found = [shutil.which(name) for name in ("chromium", "google-chrome")]
    path = next((name for name in found if name), None)
    with sync_playwright() as playwright:
        try:
            # Chromium's own sandbox wants rights that root in a container lacks.
            browser = playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox"]
            )
        except Error as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no browser: `apt-get install chromium`. {error}"[:200])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, address):
    """Opens a page, cut off from all other hosts; returns it with what went wrong."""
    contexts = []

    def open_page(name, width=WIDE, scheme="light", **options):
        view = {"width": width, "height": 900}
        context = browser.new_context(viewport=view, color_scheme=scheme, **options)
        contexts.append(context)
        context.set_default_timeout(60_000)
        page, wrong = context.new_page(), []

        def answer(route):
            if route.request.url.startswith((address, "data:")):
                route.continue_()
            else:
                wrong.append(f"asked {route.request.url}")
                route.abort()

        page.route("**/*", answer)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda said: said.type in ("error", "warning") and wrong.append(said.text),
        )
        page.on(
            "response",
            lambda got: got.status >= 400 and wrong.append(f"{got.status} {got.url}"),
        )
        page.goto(f"{address}{name}.html", wait_until="load")
        return page, wrong

    yield open_page
    for context in contexts:
        context.close()


def scroll_through(page):
    """Has the browser load and lay out what lies below its window too."""
    page.evaluate(
        """async () => {
          for (const image of document.images) image.loading = "eager";
          await Promise.all([...document.images].map((image) => image.decode()));
        }"""
    )


@pytest.mark.parametrize("name", PAGES)
def test_a_page_wide_and_narrow_light_and_dark(visit, name):
    """Whole, light enough, nothing cut, and what axe-core asks of it."""
    page, wrong = visit(name)
    scroll_through(page)
    broken = page.evaluate(
        """[...document.images].filter((x) => !x.naturalWidth || !x.hasAttribute("alt")
            || (!x.alt && x.closest(".bd-article"))).map((x) => x.src)"""
    )
    assert broken == []
    weight = page.evaluate(
        """[...performance.getEntriesByType("resource"),
            ...performance.getEntriesByType("navigation")]
          .reduce((sum, file) => sum + file.decodedBodySize, 0)"""
    )
    assert MEGABYTE / 4 < weight < 1.5 * MEGABYTE
    # Code and tables are read without scrolling them sideways.
    cut = page.evaluate(
        """[...document.querySelectorAll(".bd-article pre, .bd-article .wide")]
          .filter((x) => x.scrollWidth > x.clientWidth + 1)
          .map((x) => x.textContent.slice(0, 200))"""
    )
    assert cut == []
    assert find_faults(page) == []
    keep_picture(page, name, "light", WIDE)
    page.emulate_media(color_scheme="dark")
    page.reload()
    scroll_through(page)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", background)[:3])) < 60
    assert find_faults(page) == []
    keep_picture(page, name, "dark", WIDE)
    page.set_viewport_size({"width": NARROW, "height": 900})
    # What is hidden when a slider or a table has been laid out may come out wider.
    page.reload()
    scroll_through(page)
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW
    keep_picture(page, name, "dark", NARROW)
    assert wrong == []


def test_drawings_turn_dark_and_images_do_not(visit):
    """The ground of a drawing becomes the page's own; a photograph stays."""
    page, _ = visit("mixup_mnist", scheme="dark")
    scroll_through(page)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    wanted = [int(part) for part in re.findall(r"\d+", ground)[:3]]
    drawing = page.locator(".cell_output img[src$='.svg']").first
    shot = Image.open(io.BytesIO(drawing.screenshot())).convert("RGB")
    np.testing.assert_allclose(shot.getpixel((2, 2)), wanted, atol=2)
    assert max(high for _, high in shot.getextrema()) > 200
    photographs = page.locator(".cell_output img[src$='.png']").first
    filters = photographs.evaluate("image => getComputedStyle(image).filter")
    assert filters == "none"


@pytest.mark.parametrize("name", ["scoreboard", "full_runs", "vat_mnist"])
def test_page_fits_paper(visit, name):
    """A4 with margins is about 700 pixels wide; there is no scrolling on paper."""
    page, _ = visit(name, width=700)
    page.emulate_media(media="print")
    cut = page.evaluate(
        """[...document.querySelectorAll(".bd-article pre, .bd-article table")]
          .filter((x) => x.getBoundingClientRect().right > innerWidth
            || (x.scrollWidth > x.clientWidth + 1 && x.tagName == "PRE"))
          .map((x) => x.outerHTML.slice(0, 200))"""
    )
    assert cut == []
    for widget in page.locator(".widget").all():
        expect(widget).to_be_hidden()


@pytest.mark.slow
def test_all_pages_are_printed_as_one_book(site, tmp_path):
    pypdf = pytest.importorskip("pypdf")
    script, path = book_folder().parent / ".ci" / "pdf", tmp_path / "book.pdf"
    subprocess.run([sys.executable, script, site, path], check=True)
    printed = pypdf.PdfReader(path)
    bookmarks = printed.outline
    chapters = [mark for mark in bookmarks if not isinstance(mark, list)]
    contents = (book_folder() / "_toc.yml").read_text()
    assert len(chapters) == 1 + contents.count("file: ")
    # A section's bookmark leads to the page where it stands.
    (section,) = [x for x in bookmarks[2] if x.title == "Try it yourself"]
    text = printed.pages[printed.get_destination_page_number(section)].extract_text()
    assert "Try it yourself" in text
    assert {tuple(map(round, page.mediabox[2:])) for page in printed.pages} == {
        (595, 842)
    }


def find_faults(page):
    """What axe-core finds of at least serious weight, colours' contrast included."""
    # While a colour changes, its contrast is neither the old nor the new one's.
    page.add_style_tag(content="* { transition: none !important }")
    found = Axe().run(page).response["violations"]
    return [
        (fault["id"], fault["nodes"][0]["html"][:200])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


def keep_picture(page, name, scheme, width):
    if folder := os.environ.get("TUTORIALS_SCREENSHOTS"):
        path = pathlib.Path(folder) / f"{name}-{scheme}-{width}.png"
        page.screenshot(path=path, full_page=True)


def test_contrast_is_looked_at(visit):
    """The check above can fail: grey on grey is found."""
    page, _ = visit("glossary")
    page.add_style_tag(content=".bd-article p { color: #999; background: #aaa }")
    assert [fault for fault, _ in find_faults(page)] == ["color-contrast"]


def test_search_finds_a_term_without_a_network(visit):
    page, wrong = visit("index")
    page.keyboard.press("Control+k")
    page.keyboard.type("perturbation")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=perturbation*")
    found = page.locator("#search-results li a")
    expect(found.first).to_be_visible()
    links = [link.get_attribute("href") for link in found.all()]
    assert any("vat_mnist.html" in link for link in links)
    assert any("glossary.html" in link for link in links)
    assert wrong == []


def test_the_book_is_walked_by_keyboard(visit):
    """The skip link, then the link to the next page, from first to last chapter."""
    page, _ = visit("index")
    page.keyboard.press("Tab")
    assert "skip" in page.evaluate("document.activeElement.textContent").lower()
    for chapter in CHAPTERS:
        page.locator("a.right-next").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/{chapter}.html")
    page.locator("a.left-prev").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{CHAPTERS[-2]}.html")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_colab_opens_this_very_file(visit, chapter):
    page, _ = visit(chapter)
    owner = read_address().removeprefix("https://github.com/")
    link = page.locator("a[href*='colab.research.google.com']").first
    path = f"book/{chapter}.ipynb"
    wanted = f"https://colab.research.google.com/github/{owner}/blob/main/{path}"
    assert link.get_attribute("href") == wanted
    assert (book_folder().parent / path).is_file()


def test_formulas_are_laid_out_not_spelled_out(visit):
    page, _ = visit("mixup_mnist")
    text = page.locator(".bd-article").inner_text()
    assert "\\lambda" not in text
    assert "$" not in text.replace("$ ", "")
    fraction = page.locator(".formula math").first
    assert fraction.bounding_box()["width"] > 100


def read_column(page, title):
    place = page.locator("table.scoreboard th").all_inner_texts().index(title)
    return page.evaluate(
        """(place) => [...document.querySelectorAll("table.scoreboard tbody tr")]
          .filter((row) => !row.hidden).map((row) => row.cells[place].textContent)""",
        place,
    )


def test_the_scoreboard_sorts_and_filters(visit):
    page, wrong = visit("scoreboard")
    before = read_column(page, "article")
    button = page.get_by_role("button", name="article", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    numbers = [float(cell) for cell in read_column(page, "article")]
    assert numbers == sorted(float(cell) for cell in before)
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("article")
    page.keyboard.press("Enter")
    assert [float(cell) for cell in read_column(page, "article")] == numbers[::-1]
    # What is missing comes last in either direction.
    page.get_by_role("button", name="difference").click()
    column = read_column(page, "difference")
    missing = column.index("-")
    given = [float(cell) for cell in column[:missing]]
    assert set(column[missing:]) == {"-"}
    assert given == sorted(given)
    page.get_by_label("chapter").select_option("vat_mnist")
    assert set(read_column(page, "chapter")) == {"vat_mnist"}
    assert len(read_column(page, "chapter")) == 12
    expect(page.locator("form.filters output")).to_have_text("12 of 55")
    assert wrong == []


def use_slider(visit, page_name, widget, keys):
    """Moves a widget's slider by keys; returns what it says before and after."""
    page, wrong = visit(page_name, width=NARROW)
    place = page.locator(f"div[data-widget={widget}]")
    slider, output = place.get_by_role("slider"), place.locator("output")
    before = output.inner_text(), place.locator("svg").inner_html()
    slider.focus()
    for key in keys:
        page.keyboard.press(key)
    after = output.inner_text(), place.locator("svg").inner_html()
    assert before[1] != after[1]
    assert slider.get_attribute("aria-valuetext") == after[0]
    assert wrong == []
    return before[0], after[0], place


def test_widget_mixes_labels_as_images(visit):
    before, after, place = use_slider(visit, "mixup_mnist", "mix", ["ArrowLeft"] * 3)
    assert "0.75 ring and 0.25 plus" in before
    assert "0.60 ring and 0.40 plus" in after
    tile = place.locator("g").nth(1)
    shares = [
        float(x.get_attribute("opacity")) for x in tile.locator("[opacity]").all()
    ]
    assert shares == pytest.approx([0.6, 0.4])


@pytest.mark.parametrize("keys", [["Home"], ["ArrowRight"] * 7, ["End"]])
def test_widget_of_alpha_agrees_with_scipy(visit, keys):
    for said in use_slider(visit, "mixup_mnist", "beta", keys)[:2]:
        alpha, share = map(float, re.findall(r"[\d.]+(?=:|%)", said))
        expected = 200 * stats.beta.cdf(0.1, alpha, alpha)
        assert share == pytest.approx(expected, abs=0.51)


def test_widget_of_the_power_iteration(visit):
    before, after, _ = use_slider(visit, "vat_mnist", "power", ["ArrowRight"] * 4)
    hessian = np.diag([1, 0.6])
    d = np.array([np.cos(1.35), np.sin(1.35)])
    assert before.endswith(f"{d[0]:.3f}")
    for _ in range(4):
        d = hessian @ d / np.linalg.norm(hessian @ d)
    assert after.endswith(f"{d[0]:.3f}")


def test_widget_of_survival(visit):
    before, after, place = use_slider(visit, "noisy_student", "survival", ["Home"])
    # 16 blocks, linear from 1 - (1 - p) / 16 to p: on average 1 - (1 - p) 17 / 32.
    assert f"{16 * (1 - 0.2 * 17 / 32):.1f} of 16" in before
    assert f"{16 * (1 - 17 / 32):.1f} of 16" in after
    heights = [
        float(bar.get_attribute("height")) for bar in place.locator("rect").all()
    ]
    np.testing.assert_allclose(heights, 140 * (1 - np.arange(1, 17) / 16), atol=1e-9)


@pytest.mark.parametrize("name", ["index", "vat_mnist", "scoreboard"])
def test_without_javascript_the_page_can_be_read(visit, name):
    page, _ = visit(name, java_script_enabled=False)
    expect(page.locator(".bd-article h1")).to_be_visible()
    expect(page.locator("form.filters")).to_have_count(int(name == "scoreboard"))
    for form in page.locator("form.filters").all():
        expect(form).to_be_hidden()
    for figure in page.locator(".bd-article img").all():
        expect(figure).to_be_visible()
    for formula in page.locator("math").all()[:3]:
        expect(formula).to_be_visible()
