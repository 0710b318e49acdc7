"""PHANTOM: radiographs summed from one real chest CT, findings drawn from the MeSH tags of real reports."""
