"""One file for each published release: its tables become one index and one list of regions."""
