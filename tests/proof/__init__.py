"""Proofs that the money is right whatever dies: workers killed at every step, and in a storm of callbacks."""
