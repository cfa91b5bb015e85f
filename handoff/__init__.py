"""The core: what ships beside the entry points."""
