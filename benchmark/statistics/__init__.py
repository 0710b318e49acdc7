"""Numbers with honest intervals: AUC, cluster bootstrap, comparisons, claims. Definitions: docs/statistics.md."""
