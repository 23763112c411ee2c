"""What a topology desires of the kernel: `lower(topology, facts) -> Lowered`."""
