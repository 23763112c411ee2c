"""What users write: text to `Topology` and back, every mistake with its place."""
