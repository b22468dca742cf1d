"""The alternation, its loop, and what surrounds it: checkpoints, devices, interrupts."""
