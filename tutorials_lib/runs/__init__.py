"""What makes runs: settings, the grid of a chapter's runs, and their records.

A chapter uses it through `study.Study`.
"""
