"""Vector figures, one family a file; each function draws one figure and returns its ``Image``."""
