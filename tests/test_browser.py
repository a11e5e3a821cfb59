"""The pages in a real browser: read offline, on any screen, by keyboard, in the dark.

Where TUTORIALS_SCREENSHOTS names a folder, a picture of every page is left there.
"""

import io
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from tutorials_lib.book.chapters import book_folder
from tutorials_lib.runs.profiles import CHAPTERS

pytestmark = pytest.mark.book

SOURCES = sorted(path.stem for path in book_folder().glob("*.md"))
PAGES = (*SOURCES, *CHAPTERS, "search")
# One page of each kind: all have the same dark colours.
DARK = ("index", "vat_mnist", "scoreboard", "how_to_run")
WIDE, NARROW = 1280, 360
MEGABYTE = 1024 * 1024


def weigh_page(page):
    """Bytes of a page and of all that it loaded."""
    return page.evaluate(
        """[...performance.getEntriesByType("resource"),
            ...performance.getEntriesByType("navigation")]
          .reduce((sum, file) => sum + file.decodedBodySize, 0)"""
    )


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
    """Whole, light enough, nothing cut, on paper neither; and what axe-core asks."""
    page, wrong = visit(name)
    scroll_through(page)
    broken = page.evaluate(
        """[...document.images].filter((x) => !x.naturalWidth || !x.hasAttribute("alt")
            || (!x.alt && x.closest(".bd-article"))).map((x) => x.src)"""
    )
    assert (wrong, broken) == ([], [])
    assert MEGABYTE / 4 < weigh_page(page) < 1.5 * MEGABYTE
    # Code and tables are read without scrolling them sideways.
    assert find_cut(page, ".bd-article :is(pre, .wide)") == []
    assert find_faults(page) == []
    keep_picture(page, name, "light", WIDE)
    # axe-core asks for imported style sheets where they are not.
    wrong.clear()
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": NARROW, "height": 900})
    # What is hidden when a slider or a table has been laid out may come out wider.
    page.reload()
    scroll_through(page)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", background)[:3])) < 60
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW
    assert wrong == []
    keep_picture(page, name, "dark", NARROW)
    page.set_viewport_size({"width": WIDE, "height": 900})
    keep_picture(page, name, "dark", WIDE)
    if name in DARK:
        assert find_faults(page, rules=["color-contrast"]) == []
    # A4 with margins is about 700 pixels wide.
    page.set_viewport_size({"width": 700, "height": 900})
    page.emulate_media(media="print")
    assert find_cut(page, ".bd-article :is(pre, table)") == []
    for widget in page.locator(".widget").all():
        expect(widget).to_be_hidden()


def find_cut(page, selector):
    """Parts of a page that are too wide for it, or for their own box."""
    return page.evaluate(
        """(selector) => [...document.querySelectorAll(selector)]
          .filter((x) => x.getBoundingClientRect().right > innerWidth
            || (x.scrollWidth > x.clientWidth + 1 && x.tagName != "TABLE"))
          .map((x) => x.outerHTML.slice(0, 200))""",
        selector,
    )


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
    # 210 x 297 mm are 595.28 x 841.89 points; browsers round to pixels, 0.75 points.
    sizes = np.array([page.mediabox[2:] for page in printed.pages], "float64")
    assert np.abs(sizes - [595.28, 841.89]).max() < 1


def find_faults(page, where=None, rules=None):
    """What axe-core finds of at least serious weight, colours' contrast included.

    In one part of the page if `where` selects it, by some of its rules if they are
    named.
    """
    options = {"runOnly": rules} if rules else None
    # While a colour changes, its contrast is neither the old nor the new one's.
    page.add_style_tag(content="* { transition: none !important }")
    found = Axe().run(page, context=where, options=options).response["violations"]
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
    expect(page.locator("form.filters output")).to_have_text("12 of 61")
    assert wrong == []


@pytest.mark.parametrize("name", ["index", "vat_mnist", "scoreboard"])
def test_without_javascript_the_page_can_be_read(visit, name):
    page, _ = visit(name, java_script_enabled=False)
    expect(page.locator(".bd-article h1")).to_be_visible()
    expect(page.locator("form.filters")).to_have_count(int(name == "scoreboard"))
    for form in page.locator("form.filters").all():
        expect(form).to_be_hidden()
    sentences = page.locator("div[data-widget] p")
    expect(sentences).to_have_count(2 * (name == "vat_mnist"))
    for sentence in sentences.all():
        expect(sentence).to_contain_text("With JavaScript")
    for figure in page.locator(".bd-article img").all():
        expect(figure).to_be_visible()
    for formula in page.locator("math").all()[:3]:
        expect(formula).to_be_visible()
