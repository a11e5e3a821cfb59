"""What the chapters need besides their methods: data, plots, statistics, checks."""
