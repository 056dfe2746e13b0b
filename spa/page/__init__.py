"""The report as one page of HTML: what it holds, and how that is put on it."""
