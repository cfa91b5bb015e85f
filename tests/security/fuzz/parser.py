"""Atheris on the way from bytes to a handoff: `python -m tests.security.fuzz.parser [seconds]`."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports():
    from handoff.inbound import Handoff, InvalidHandoff, read_handoff, salvage_text
    from handoff.routing import load_routing
    from handoff.strict_json import BodyTooLarge, MalformedJSON, parse_body, unpacked
    from handoff.ticket import to_ticket

from tests.corpora import JSON_BODIES

SECONDS = 20
BYTES_MAX = 4096
ROUTING = load_routing((Path(__file__).parents[3] / "config" / "routing.toml").read_text(encoding="utf-8"))


def one_body(raw: bytes) -> None:
    """Read raw as the function does, down to the ticket's fields; only the errors of the contract may come out."""
    kept = salvage_text(raw)
    with contextlib.suppress(MalformedJSON, BodyTooLarge):
        body = parse_body(unpacked(raw))
        try:
            kept = read_handoff(body)
        except InvalidHandoff as error:
            kept = error.salvaged
    if Handoff.from_json(kept.to_json()) != kept:
        raise RuntimeError("the ledger would give another handoff back")
    to_ticket(kept, ROUTING.route(kept.bot, kept.category), fallback_requester="casa@example.com")


def main() -> None:
    """Fuzz for some seconds, from the corpus on."""
    seconds = sys.argv[1] if len(sys.argv) > 1 else str(SECONDS)
    with tempfile.TemporaryDirectory() as seeds:
        for name, raw in JSON_BODIES.items():
            (Path(seeds) / name).write_bytes(raw[:BYTES_MAX])
        atheris.Setup(
            ["parser", f"-max_total_time={seconds}", f"-max_len={BYTES_MAX}", "-verbosity=1", seeds], one_body
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
