"""What 1,000 handoffs cost on AWS, from the measured duration and the deployed memory."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.aws.worst_month import GB_SECOND, INVOCATION, LOGGED_GB, MILLION, WRITE_UNIT
from dev.bench.load import handoff
from handoff.inbound import read_handoff
from handoff.routing import load_routing
from handoff.transitions import Policy, claimed

ROOT: Final = Path(__file__).resolve().parents[2]
FRESHDESK_S: Final = 0.230  # what a create takes there; the function waits for it, and AWS counts waiting
HANDOFFS: Final = 1_000
_LOG_KB: Final = 0.5
_KEYS_BYTES: Final = 250  # the attributes that conditions and indexes need, beside the row's JSON
_WRITES_OF_A_ROW: Final = 6  # claim and settle, each in the table, the index `due` and the index `conversation`
_WRITES_OF_A_PLACE: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """US dollars for 1,000 handoffs, and what they come from."""

    duration_s: float
    memory_gb: float
    write_units: int

    @property
    def compute(self) -> float:
        """Duration times memory times Lambda's price."""
        return HANDOFFS * self.duration_s * self.memory_gb * GB_SECOND

    @property
    def calls(self) -> float:
        """Lambda's price for being called."""
        return HANDOFFS * INVOCATION

    @property
    def ledger(self) -> float:
        """DynamoDB's price for the writes."""
        return HANDOFFS * self.write_units * WRITE_UNIT

    @property
    def logs(self) -> float:
        """CloudWatch's price for one line each."""
        return HANDOFFS * _LOG_KB / MILLION * LOGGED_GB

    @property
    def total(self) -> float:
        """All of it."""
        return self.compute + self.calls + self.ledger + self.logs


def cost(function_s: float) -> Cost:
    """Return the cost where the function itself takes function_s seconds, on top of Freshdesk's."""
    return Cost(duration_s=FRESHDESK_S + function_s, memory_gb=memory_gb(), write_units=write_units())


def memory_gb() -> float:
    """Return the memory serverless.yml asks for, in GB."""
    found = re.search(r"^ {2}memorySize: (\d+)$", (ROOT / "serverless.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def write_units() -> int:
    """Return the write units of the bench's handoff: DynamoDB counts each KB begun, in the table and each index."""
    asked = read_handoff(json.loads(handoff("cost", 1)))
    route = load_routing((ROOT / "config" / "routing.toml").read_text(encoding="utf-8")).route(
        asked.bot, asked.category
    )
    row = claimed(asked, route, owner="0" * 16, now=0.0, policy=Policy())
    units = math.ceil((len(row.to_json().encode()) + _KEYS_BYTES) / 1024)
    return _WRITES_OF_A_ROW * units + _WRITES_OF_A_PLACE
