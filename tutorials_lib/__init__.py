"""Helpers for a book that reproduces five articles with Keras 3.

Each module at this level implements one idea, which the chapters import to teach it.
`runs` makes runs and their records, `results` shows them, `book` makes the pages.
"""

__version__ = "0.1.0"
