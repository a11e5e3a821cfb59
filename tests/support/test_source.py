"""What chapters show of the package is what Python finds there."""

from tutorials_lib.support.source import show_source
from tutorials_lib.vat import VatModel, kl_divergence


class Sample:
    def double(self, x):
        """Doubles."""

        def inner():
            "Inner."
            return 2 * x

        return inner()


DOUBLE = """\
def double(self, x):
    def inner():
        return 2 * x

    return inner()"""


def test_without_docstrings_and_indentation():
    both = show_source(Sample.double, Sample.double)
    assert str(both) == f"{DOUBLE}\n\n\n{DOUBLE}"
    whole = str(show_source(VatModel, kl_divergence))
    compile(whole, "shown", "exec")
    assert '"""' not in whole


def test_a_notebook_highlights_it():
    from IPython.core.formatters import DisplayFormatter

    data, _ = DisplayFormatter().format(show_source(Sample.double))
    assert data["text/plain"] == DOUBLE
    assert data["text/markdown"] == f"```python\n{DOUBLE}\n```"
