"""What runs the chapters and keeps their records; chapters touch it in a few lines.

`profiles` says what a profile means, `grid` runs every variant and seed and writes
`records`, `reports` and `figures` show them, `scoreboard` makes pages of them, and the
rest is the `tutorials` command.
"""
