"""Hostile or faulty requests: each protection, and a control that fails without it."""
