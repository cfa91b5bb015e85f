"""The core package, used by all entry points."""
