"""The proofs: the real code under seeded faults, on a virtual clock or in real processes that are killed."""
