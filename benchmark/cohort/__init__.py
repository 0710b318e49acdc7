"""From a release, or the phantom, to an index with cached images: the stages `raw` and `prepare`."""
