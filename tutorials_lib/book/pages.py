"""A Sphinx extension: pages that can be read offline, and lighter ones.

`_config.yml` names it. Formulas become MathML while the pages are built, so that no
script has to be fetched to read them; what the theme loads and no page needs goes.
"""

import pathlib
import re

from docutils import nodes
from latex2mathml.converter import convert
from PIL import Image
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

# A megabyte and a half of icons, which the theme's style sheet has as fonts too.
ICONS = re.compile(r'<script[^>]*src="[^"]*/fontawesome\.js[^"]*"[^>]*></script>')
# One mark that alone would have a font of 118 kB loaded, and one of the font there is.
MARK = ("fab fa-github", "fas fa-code-branch")
# The index and what searches it, 100 kB: only the page of results uses them.
SEARCH = re.compile(
    r'<script src="(?:_static/)?(?:searchtools|language_data|searchindex)\.js[^"]*">'
    r"</script>"
)
# The style and script of cards, which the first page alone has: 62 kB.
CARDS = re.compile(
    r"<(?:link|script)[^>]*(?:sphinx-design|design-tabs)[^>]*>(?:</script>)?"
)
# Pictures of more bytes than that are written with 256 colours, a third of the bytes.
LARGE = 50_000
# Docutils calls the references a list but not its entries items: a screen reader that
# is told of a list finds it empty.
CITATIONS = re.compile(r' role="list"(?= class="citation-list")')
# The converter spaces `log` and the sign of a distribution like letters, and stretches
# a bar to a hyphen.
MENDED = {
    "<mi>log</mi>": '<mo lspace="0.167em" rspace="0.167em">log</mo>',
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",
    '<mo stretchy="true">&#x000AF;</mo>': '<mo stretchy="false">&#x0203E;</mo>',
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the extension; Sphinx calls this."""
    writers = (_write_inline, None), (_write_displayed, None)
    app.add_html_math_renderer("mathml", *writers)
    app.connect("config-inited", _choose_options)
    app.connect("builder-inited", _drop_thebe, priority=1)
    app.connect("build-finished", _lighten_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def convert_formula(latex: str, display: str = "inline") -> str:
    """Returns a formula (without dollars) as MathML, `"inline"` or as a `"block"`.

    An `ExtensionError` says that it holds a command that the converter does not know:
    that would stand on the page as it is written.
    """
    formula = convert(latex, display=display)
    if unknown := re.findall(r"\\\w+", formula):
        raise ExtensionError(f"unknown LaTeX commands {unknown} in formula {latex!r}")
    for found, better in MENDED.items():
        formula = formula.replace(found, better)
    return formula


def _write_inline(writer, node):
    writer.body.append(convert_formula(node.astext()))
    raise nodes.SkipNode


def _write_displayed(writer, node):
    # In a box of its own a formula wider than a telephone scrolls by itself.
    formula = convert_formula(node.astext(), "block")
    writer.body.append(f'<div class="formula" tabindex="0">{formula}</div>\n')
    raise nodes.SkipNode


def _choose_options(app, config):
    # A widget loads its script and data itself; Jupyter Book has every page load all.
    config.html_js_files = [x for x in config.html_js_files if "/" not in str(x)]
    config.html_math_renderer = "mathml"
    # The sidebar has a field for search already.
    config.html_theme_options["navbar_persistent"] = []
    config.html_theme_options["logo"] = {"text": config.html_title}
    # Without it the theme warns on every page that its mode is empty.
    config.html_context.setdefault("default_mode", "auto")


def _drop_thebe(app):
    """Takes out the live code cells, which Jupyter Book loads wanted or not."""
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if listener.handler.__module__.startswith("sphinx_thebe"):
                listeners.remove(listener)


def _lighten_pages(app, exception):
    if exception or app.builder.format != "html":
        return
    for path in pathlib.Path(app.outdir).glob("*.html"):
        text = path.read_text(encoding="utf-8")
        text = CITATIONS.sub("", ICONS.sub("", text)).replace(*MARK)
        if path.name != "search.html":
            text = SEARCH.sub("", text)
        if "sd-card" not in text:
            text = CARDS.sub("", text)
        path.write_text(text, encoding="utf-8")
    for path in pathlib.Path(app.outdir, "_images").glob("*.png"):
        if path.stat().st_size > LARGE:
            with Image.open(path) as picture:
                small = picture.convert("RGB").quantize(256)
            small.save(path, optimize=True)
