"""Helpers for a book that reproduces five articles with Keras 3.

The modules at this level hold one idea each, and are what a chapter imports to teach.
What runs chapters and keeps their records lies apart, in `tutorials_lib.runs`.
"""

__version__ = "0.1.0"
