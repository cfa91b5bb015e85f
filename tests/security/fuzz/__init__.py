"""Long fuzzing; see `make fuzz`."""
