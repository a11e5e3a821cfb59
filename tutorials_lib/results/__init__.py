"""From records to what a page shows: estimates, tables, figures and verdicts."""
