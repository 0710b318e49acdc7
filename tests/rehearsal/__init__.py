"""The stages at the published number of rows, on trees of tiny image files: ``make rehearsal``."""
