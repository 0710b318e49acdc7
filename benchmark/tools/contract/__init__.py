"""What the harness relies on of a baseline, one function a promise: each returns what it found or raises ``Broken``."""
