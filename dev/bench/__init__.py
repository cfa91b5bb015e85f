"""What the function costs beside the least that a function could do: `python -m dev.bench`."""
