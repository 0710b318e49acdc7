"""The phantom in the published layout of each dataset, one writer for each."""
