"""x"""
from __future__ import annotations
class Bots:
    """x"""
