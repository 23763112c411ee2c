"""Looking: what is there, within the fence of one lab, or on all of the host."""
