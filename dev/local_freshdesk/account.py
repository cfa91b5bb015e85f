"""The account the stand-in plays: its groups, products, agents, types and custom fields, read from one TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

Profile = Literal["2026", "classic"]
JSONObject = dict[str, Any]

ACCOUNT_FILE: Final = Path(__file__).with_name("account.toml")


@dataclass(frozen=True)
class Account:
    """One help desk. `data` is the TOML file's table; `profile` chooses the list of ticket sources."""

    data: JSONObject
    profile: Profile = "2026"

    @classmethod
    def load(cls, profile: Profile = "2026", path: Path = ACCOUNT_FILE) -> Account:
        """Read the account from a TOML file; raises tomllib.TOMLDecodeError or OSError."""
        return cls(tomllib.loads(path.read_text("utf-8")), profile)

    @cached_property
    def groups(self) -> dict[int, JSONObject]:
        """Groups by id."""
        return {group["id"]: group for group in self.data["groups"]}

    @cached_property
    def products(self) -> dict[int, JSONObject]:
        """Products by id."""
        return {product["id"]: product for product in self.data["products"]}

    @cached_property
    def agents(self) -> dict[int, JSONObject]:
        """Agents by id."""
        return {agent["id"]: agent for agent in self.data["agents"]}

    @cached_property
    def email_configs(self) -> dict[int, JSONObject]:
        """Mailboxes by id; the first is the account's default."""
        return {config["id"]: config for config in self.data["email_configs"]}

    @cached_property
    def custom_fields(self) -> dict[str, JSONObject]:
        """Custom ticket fields by their `cf_` name."""
        return {field["name"]: field for field in self.data["custom_fields"]}

    @cached_property
    def admin(self) -> JSONObject:
        """The agent whose rights the API key has."""
        return next(agent for agent in self.agents.values() if agent["email"] == self.data["admin"])

    @property
    def types(self) -> list[str]:
        """Ticket types."""
        return list(self.data["types"]["values"])

    @property
    def statuses(self) -> dict[int, list[str]]:
        """Status number → [agent's label, customer's label]."""
        return {int(number): labels for number, labels in self.data["statuses"].items()}

    @property
    def priorities(self) -> dict[str, int]:
        """Priority label → number."""
        return dict(self.data["priorities"])

    @property
    def sources(self) -> dict[str, int]:
        """Source label → number, as the profile has them."""
        return dict(self.data["sources"][self.profile])
