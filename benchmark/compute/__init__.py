"""What training, scoring and the supervised reference share: device, determinism, processes, pixels, schedule."""
