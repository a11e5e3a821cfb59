"""Helpers for a book that reproduces five articles with Keras 3.

The modules at this level hold one idea each and are what a chapter imports to
teach: a method each (`mixup`, `vat`, `augmentation`, ...), data, nets, plots.
What runs chapters and keeps their records lies apart, in `tutorials_lib.runs`.

Importing the package imports nothing heavy and downloads nothing.
"""

__version__ = "0.1.0"
