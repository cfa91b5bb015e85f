"""Delivery of a request, recovery of unfinished rows, and one pass of the sweep."""
