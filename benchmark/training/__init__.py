"""Training under a matched budget: one loop for every system, resumable bit for bit, on any number of processes."""
