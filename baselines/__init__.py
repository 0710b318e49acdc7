"""Compared models: one file each, found by its name (``baselines.base.load``)."""
