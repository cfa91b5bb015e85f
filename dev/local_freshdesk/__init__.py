"""A stand-in Freshdesk: its API over real HTTP, its pages, and faults to switch on. Never deployed."""

from dev.local_freshdesk.local import LocalFreshdesk

__all__ = ["LocalFreshdesk"]
