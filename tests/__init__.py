"""The tests; see `make test`."""
