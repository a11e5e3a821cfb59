"""What the chapters need beside their methods: data, plots, statistics, checks."""
