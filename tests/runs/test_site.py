"""The built pages: no warnings, no dead links inside, what a reader needs on each."""

import html
import html.parser
import pathlib
import re
import unicodedata
import urllib.parse

import pytest
from fontTools.ttLib import TTFont
from sphinx.errors import ExtensionError

from tutorials_lib.runs.chapters import book_folder
from tutorials_lib.runs.pages import convert_formula
from tutorials_lib.runs.profiles import CHAPTERS
from tutorials_lib.runs.site import build_site


class Page(html.parser.HTMLParser):
    """Collects a page's links, anchors and images."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors, self.images, self.tables = [], set(), [], 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        self.links += [found[name] for name in ("href", "src") if found.get(name)]
        self.tables += tag == "table"
        if tag == "img":
            self.images.append(found)


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.glob("*.html")}


def test_every_page_is_there(site):
    names = {path.stem for path in site.glob("*.html")}
    around = {"scoreboard", "full_runs", "status", "how_to_run", "full_book"}
    assert {"index", "references", *around, *CHAPTERS} <= names


def test_records_are_shipped(site):
    """So that a link leads from each number to what it rests on."""
    records = book_folder() / "records"
    files = [path.relative_to(records) for path in records.glob("*/*.json")]
    assert files
    for file in files:
        assert (site / file).read_bytes() == (records / file).read_bytes()


def test_formula_of_unknown_commands():
    assert "<mfrac>" in convert_formula(r"\frac{1}{n}")
    with pytest.raises(ExtensionError, match=r"arg.*formula"):
        convert_formula(r"r = \arg\max_x f(x)")


def test_font_for_mathematics(site):
    """It was cut to few characters: those that the formulas need must be in it."""
    italics = [*range(0x1D434, 0x1D468), *range(0x1D6FC, 0x1D71C)]
    italic = {unicodedata.normalize("NFKC", chr(code)): chr(code) for code in italics}
    shown = set()
    for path in site.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        for formula in re.findall(r"<math.*?</math>", text, re.DOTALL):
            leaves = re.findall(r"<(m[a-z]+)[^>]*>([^<]+)<", formula)
            for tag, leaf in leaves:
                leaf = html.unescape(leaf)
                upright = tag != "mi" or len(leaf) > 1
                shown |= set(leaf) if upright else {italic.get(leaf, leaf)}
    font = TTFont(site / "_static" / "mathematics.woff")
    assert "MATH" in font
    assert {italic["x"], italic["ε"], "∑"} <= shown
    assert not {char for char in shown if ord(char) not in font.getBestCmap()}


def test_links_within_the_site(site, pages):
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                target = (path.parent / urllib.parse.unquote(parts.path)).resolve()
            if not target.exists():
                dead.append(f"{path.name}: {link}")
            elif parts.fragment and target in pages:
                anchor = urllib.parse.unquote(parts.fragment)
                if anchor not in pages[target].anchors:
                    dead.append(f"{path.name}: {link}")
    assert not dead
    assert sum(len(page.links) for page in pages.values()) > 100


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_pages(site, pages, chapter):
    page = pages[site / f"{chapter}.html"]
    figures = [image for image in page.images if "_images/" in image.get("src", "")]
    assert len(figures) >= 5
    assert all(len(image.get("alt", "")) > 40 for image in figures)
    assert page.tables >= 4
    assert "| article" not in (site / f"{chapter}.html").read_text()
    assert [x for x in page.links if "colab.research.google.com" in x and chapter in x]
    # The article and the paper are cited, and the citations lead somewhere.
    cited = {link for link in page.links if link.startswith("references.html#")}
    assert len(cited) >= 2


def test_a_failed_build_leaves_the_old_pages(tmp_path, monkeypatch):
    import shutil

    from tutorials_lib.runs import site as module
    from tutorials_lib.runs.chapters import ChapterError

    root = tmp_path / "project"
    (root / "book").mkdir(parents=True)
    book = pathlib.Path(module.book_folder())
    shutil.copy(book.parent / "_config.yml", root)
    (root / "book" / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (root / "book" / "references.bib").write_text("")
    (root / "book" / "index.md").write_text("# Book\n\n{doc}`nowhere`\n")
    monkeypatch.setattr(module, "book_folder", lambda: root / "book")
    pages = tmp_path / "html"
    pages.mkdir()
    (pages / "index.html").write_text("the old page")
    (pages / ".buildinfo").write_text("left by the last build")
    with pytest.raises(ChapterError, match="could not be built"):
        module.build_site(output=pages)
    assert (pages / "index.html").read_text() == "the old page"
    assert [path.name for path in tmp_path.glob("*html*")] == ["html"]


def test_a_folder_of_other_things_is_not_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="output must be a new or empty folder"):
        build_site(output=tmp_path)
    with pytest.raises(ValueError, match="output must be a folder"):
        build_site(output=tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_pages_of_a_profile_that_was_not_run():
    from tutorials_lib.runs.chapters import ChapterError

    with pytest.raises(ChapterError, match="has not been run at profile smoke"):
        build_site("smoke")
