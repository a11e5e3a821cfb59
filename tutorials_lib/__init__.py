"""Helpers for a book that reproduces five articles with Keras 3.

Each module at this level implements one idea, which the chapters import to teach it.
The code that runs chapters and keeps their records is in `tutorials_lib.runs`.
"""

__version__ = "0.1.0"
