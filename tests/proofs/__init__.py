"""The proofs in short."""
