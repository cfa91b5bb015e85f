"""What the weather answers in place of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dev.local_freshdesk.limits import too_many_requests
from dev.local_freshdesk.wire import Answer, internal_error

if TYPE_CHECKING:
    from dev.local_freshdesk.weather import Weather

_BAD_GATEWAY: Final = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


def answer_of(weather: Weather) -> Answer | None:
    """The answer this weather gives, or None where the API answers itself."""
    if weather.name == "rate-limited":
        return too_many_requests(weather.seconds, body=weather.body)
    if weather.name == "broken":
        return internal_error()
    if weather.name == "html-502":
        return Answer(502, _BAD_GATEWAY, (("Content-Type", "text/html; charset=UTF-8"),))
    return None
