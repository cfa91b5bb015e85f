"""The structure of the code: imports, sizes and documentation."""
