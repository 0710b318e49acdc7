"""Findings drawn into a radiograph, one file for each family."""
