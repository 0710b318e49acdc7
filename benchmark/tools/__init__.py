"""Commands around the pipeline; they may use every room, and no room uses them."""
