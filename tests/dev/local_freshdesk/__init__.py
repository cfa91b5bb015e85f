"""Tests of the stand-in Freshdesk."""
