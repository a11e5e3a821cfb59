"""What makes the book: the `tutorials` command, chapters, pages and the site."""
