"""Text to `Topology`, and `Topology` to what is desired of the kernel."""
