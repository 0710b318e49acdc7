"""Public material of the embedded cohort: the pinned wheels, and what is read from them in place."""
