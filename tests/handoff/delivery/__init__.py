"""The rule: live, afterwards, and one pass of the sweep."""
