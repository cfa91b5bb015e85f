"""The account the stand-in plays, read from one TOML file, and what the API answers about it."""

from __future__ import annotations

import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Final

JSONObject = dict[str, Any]

_MADE_AT: Final = {"created_at": "2026-08-01T12:00:00Z", "updated_at": "2026-08-01T12:00:00Z"}
_FIRST_FIELD_ID: Final = 1070000000601


class Account:
    """Groups, products, agents, mailboxes, ticket types and custom fields."""

    def __init__(self) -> None:
        data = tomllib.loads(Path(__file__).with_name("account.toml").read_text("utf-8"))
        self.groups: dict[int, JSONObject] = {group["id"]: group for group in data["groups"]}
        self.products: dict[int, JSONObject] = {product["id"]: product for product in data["products"]}
        self.agents: dict[int, JSONObject] = {agent["id"]: agent for agent in data["agents"]}
        self.email_configs: dict[int, JSONObject] = {config["id"]: config for config in data["email_configs"]}
        self.custom_fields: dict[str, JSONObject] = {field["name"]: field for field in data["custom_fields"]}
        self.types: list[str] = data["types"]["values"]
        self.statuses: dict[str, list[str]] = data["statuses"]
        self.priorities: dict[str, int] = data["priorities"]
        self.sources: dict[str, int] = data["sources"]
        self.key_owner = next(agent for agent in data["agents"] if agent["email"] == data["admin"])

    @cached_property
    def ticket_fields(self) -> list[JSONObject]:
        """GET /ticket_fields: `choices` has the three shapes of a real account."""
        ids = {
            name: {item["name"]: item["id"] for item in items.values()}
            for name, items in (("group", self.groups), ("agent", self.agents), ("product", self.products))
        }
        choices: dict[str, Any] = {
            **dict.fromkeys(("requester", "subject")),
            "ticket_type": self.types,
            "source": self.sources,
            "status": self.statuses,
            "priority": self.priorities,
            **ids,
            **dict.fromkeys(("description", "company")),
        }
        labels = {"requester": "Search a requester", "ticket_type": "Type"}
        rows = [(name, labels.get(name, name.title()), f"default_{name}", found) for name, found in choices.items()]
        rows += [
            (field["name"], field["label"], f"custom_{field['kind']}", field.get("choices"))
            for field in self.custom_fields.values()
        ]
        return [_ticket_field(position, *row) for position, row in enumerate(rows, start=1)]

    @cached_property
    def groups_by_name(self) -> list[JSONObject]:
        """GET /groups, in the order of the real one."""
        return [{**group, **_MADE_AT} for group in sorted(self.groups.values(), key=lambda group: str(group["name"]))]

    @cached_property
    def me(self) -> JSONObject:
        """GET /agents/me: the agent whose rights the key has, with global scope."""
        return {
            "id": self.key_owner["id"],
            "ticket_scope": 1,
            "group_ids": list(self.groups),
            "role_ids": [1070000000701],
            "type": "support_agent",
            **_MADE_AT,
            "contact": {"active": True, "email": self.key_owner["email"], "name": self.key_owner["name"]},
        }


def _ticket_field(position: int, name: str, label: str, kind: str, choices: Any) -> JSONObject:
    field: JSONObject = {
        "id": _FIRST_FIELD_ID + position,
        "name": name,
        "label": label,
        "position": position,
        "required_for_agents": name in {"requester", "subject", "status", "priority", "description"},
        "type": kind,
        "default": kind.startswith("default_"),
        **_MADE_AT,
    }
    return field if choices is None else {**field, "choices": choices}
