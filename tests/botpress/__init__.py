"""Tests of the Botpress cards, run under Node as Studio runs them."""
