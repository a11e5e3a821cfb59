"""Source code on the page: what is shown is stored there, and the check compares it."""

from tutorials_lib.support.page import show_source
from tutorials_lib.vat import VatModel


def test_a_class_without_the_docstrings_of_its_methods():
    shown = show_source(VatModel)
    compile(shown, "shown", "exec")
    assert '"""' not in shown
