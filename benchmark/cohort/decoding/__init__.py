"""Image files become cached arrays."""
