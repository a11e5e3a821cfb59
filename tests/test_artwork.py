"""Logo and pictures of the first page: those that the code draws."""

import xml.etree.ElementTree

import numpy as np
from PIL import Image

from tutorials_lib.runs.artwork import LOGO, draw_pictures
from tutorials_lib.runs.chapters import book_folder
from tutorials_lib.runs.profiles import CHAPTERS

STATIC = book_folder() / "_static"


def test_the_stored_pictures_are_those_drawn():
    """`python -m tutorials_lib.runs.artwork` brings them up to date."""
    pictures = draw_pictures()
    assert set(pictures) == set(CHAPTERS)
    for chapter, picture in pictures.items():
        with Image.open(STATIC / f"{chapter}.png") as stored:
            np.testing.assert_array_equal(np.asarray(stored), picture)
    assert (STATIC / "logo.svg").read_text() == LOGO
    xml.etree.ElementTree.fromstring(LOGO)
