"""The files that one stage writes and another reads: each is read, and refused when damaged, in one place."""
