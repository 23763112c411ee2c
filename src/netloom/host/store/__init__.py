"""What netloom remembers, on disk before it acts."""
