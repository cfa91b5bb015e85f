"""What is printed cannot steer a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest

from operate.screen import Screen

STEERING = "a\x1b[2J\x9b31m\u202eb\u2066c\u2028d\u200fe"


@pytest.mark.parametrize(
    ("write", "as_json"),
    [
        (lambda screen: screen.say(STEERING), False),
        (lambda screen: screen.warn(STEERING), False),
        (lambda screen: screen.table((STEERING,), [(STEERING,)], STEERING), False),
        (lambda screen: screen.json({"x": STEERING}), True),
        (lambda screen: screen.line({"x": STEERING}), True),
    ],
)
def test_nothing_that_steers_a_terminal_is_printed(write: Callable[[Screen], None], *, as_json: bool) -> None:
    """Whatever a file, a setting or Freshdesk holds; JSON is read back as it was."""
    stream = io.StringIO()
    write(Screen(stream, stream, as_json=as_json))
    printed = stream.getvalue()
    assert printed
    assert not set("\x1b\x9b\u202e\u2066\u2028\u200f") & set(printed)
    if as_json:
        assert json.loads(printed) == {"x": STEERING}
