"""What the kernel does with a packet, from what it was told: pure, and proved against it."""
