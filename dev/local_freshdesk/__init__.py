"""A stand-in Freshdesk: its API over real HTTP, its pages, and the weather that makes it fail. Never deployed."""

from dev.local_freshdesk.local import LocalFreshdesk
from dev.local_freshdesk.weather import Weather

__all__ = ["LocalFreshdesk", "Weather"]
