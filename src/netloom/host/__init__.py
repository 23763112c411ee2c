"""The machine: looking at it, changing it, and the journal of what was changed."""
