"""The built pages: no warnings, no dead links inside, what a reader needs on each."""

import html
import html.parser
import os
import re
import shutil
import subprocess
import unicodedata
import urllib.parse

import pytest
from fontTools.ttLib import TTFont
from sphinx.errors import ExtensionError
from stand_ins import make_pages

from tutorials_lib.book import site as building
from tutorials_lib.book.chapters import ChapterError, book_folder
from tutorials_lib.book.pages import convert_formula
from tutorials_lib.book.site import build_site, read_address, stamp_address
from tutorials_lib.runs.profiles import CHAPTERS

pytestmark = pytest.mark.book

ROOT = book_folder().parent


class Page(html.parser.HTMLParser):
    """Collects a page's links and anchors."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        self.links += [found[name] for name in ("href", "src") if found.get(name)]


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.glob("*.html")}


def test_links_within_the_site(pages):
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                target = (path.parent / urllib.parse.unquote(parts.path)).resolve()
            anchor = urllib.parse.unquote(parts.fragment)
            lost = anchor and target in pages and anchor not in pages[target].anchors
            if not target.exists() or lost:
                dead.append(f"{path.name}: {link}")
    assert not dead


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_pages(site, pages, chapter):
    links = pages[site / f"{chapter}.html"].links
    # For runs that have not been made yet, a line replaces the picture.
    assert any("_images/" in link for link in links)
    text = (site / f"{chapter}.html").read_text()
    assert text.count("<table") >= 2
    assert "| article" not in text
    owner = read_address().removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{owner}/blob/main/book/"
    assert f"{colab}{chapter}.ipynb" in links
    # The paper at least is cited.
    assert any(link.startswith("references.html#") for link in links)


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
            for tag, leaf in re.findall(r"<(m[a-z]+)[^>]*>([^<]+)<", formula):
                leaf = html.unescape(leaf)
                letter = tag == "mi" and len(leaf) == 1
                shown |= {italic.get(leaf, leaf)} if letter else set(leaf)
    font = TTFont(site / "_static" / "mathematics.woff")
    assert "MATH" in font
    assert {italic["x"], italic["ε"], "∑"} <= shown
    assert not {char for char in shown if ord(char) not in font.getBestCmap()}


def test_a_failed_build_leaves_the_old_pages(tmp_path, monkeypatch):
    book = tmp_path / "project" / "book"
    book.mkdir(parents=True)
    shutil.copy(ROOT / "_config.yml", book.parent)
    (book / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (book / "references.bib").write_text("")
    (book / "index.md").write_text("# Book\n\n{doc}`nowhere`\n")
    monkeypatch.setattr(building, "book_folder", lambda: book)
    make_pages(tmp_path / "html")
    with pytest.raises(ChapterError, match="could not be built"):
        build_site(output=tmp_path / "html")
    assert (tmp_path / "html" / "index.html").read_text() == "the old page"
    assert [path.name for path in tmp_path.glob("*html*")] == ["html"]


def test_pages_of_notebooks_that_are_not_run():
    with pytest.raises(ChapterError, match="has not been run at profile smoke"):
        build_site("smoke")


def test_the_address_stands_in_one_place_and_its_stamps():
    """Chapters stand alone on Colab and carry a copy; nothing else names an address."""
    owner_and_name = read_address().removeprefix("https://github.com/")
    command = ["git", "-C", str(ROOT), "grep", "-lI", "-e", owner_and_name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        pytest.skip("not a git checkout")
    chapters = {f"book/{chapter}.ipynb" for chapter in CHAPTERS}
    assert set(done.stdout.split()) == {"_config.yml", "README.md", *chapters}


def test_on_github_the_address_is_that_of_the_repository():
    here = os.environ.get("GITHUB_REPOSITORY")
    if not here:
        pytest.skip("only GitHub says whose repository this is")
    here = f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{here}"
    assert read_address().lower() == here.lower(), (
        f"Set `repository: url:` in _config.yml to {here}, run `tutorials address`, "
        f"and commit what changed: the Colab buttons lead to {read_address()}."
    )


def test_address_moves_with_one_command(tmp_path, monkeypatch):
    book = tmp_path / "book"
    shutil.copytree(ROOT / "book", book, ignore=shutil.ignore_patterns("records"))
    config, old = (ROOT / "_config.yml").read_text(), read_address()
    new = "https://github.com/someone-else/a-book"
    (tmp_path / "_config.yml").write_text(config.replace(old, new))
    shutil.copy(ROOT / "README.md", tmp_path)
    monkeypatch.setattr(building, "book_folder", lambda: book)
    monkeypatch.setattr(building, "__version__", "7.8.9")
    assert {path.stem for path in stamp_address()} == {"README", *CHAPTERS}
    readme = (tmp_path / "README.md").read_text()
    assert "https://someone-else.github.io/a-book" in readme
    button = "github/someone-else/a-book/blob/main/book/"
    assert readme.count(button) == len(CHAPTERS)
    for path in book.glob("*.ipynb"):
        text = path.read_text()
        assert f"git+{new}" in text
        assert '\\"v7.8.9\\"' in text
        assert old not in text
    assert stamp_address() == []
    for bad in ("git@github.com:a/b.git", "", "https://github.com/a b"):
        (tmp_path / "_config.yml").write_text(config.replace(old, bad))
        with pytest.raises(ChapterError, match="https address"):
            stamp_address()
