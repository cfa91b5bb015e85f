"""The reads about the account itself: fields, groups, products, agents, mailboxes, settings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dev.local_freshdesk.account import Account, JSONObject

_BORN: Final = "2026-08-01T12:00:00Z"
_FIRST_FIELD_ID: Final = 1070000000601
_CUSTOM_TYPES: Final = {
    "text": "custom_text",
    "paragraph": "custom_paragraph",
    "number": "custom_number",
    "decimal": "custom_decimal",
    "checkbox": "custom_checkbox",
    "date": "custom_date",
    "dropdown": "custom_dropdown",
}
_TIMES: Final = {"created_at": _BORN, "updated_at": _BORN}


def ticket_fields(account: Account) -> list[JSONObject]:
    """GET /ticket_fields: `choices` comes in the three shapes a real account has."""
    agents = {agent["name"]: agent["id"] for agent in account.agents.values()}
    statuses = {str(number): labels for number, labels in account.statuses.items()}
    groups = {group["name"]: group["id"] for group in account.groups.values()}
    products = {product["name"]: product["id"] for product in account.products.values()}
    rows: list[tuple[str, str, str, Any]] = [
        ("requester", "Search a requester", "default_requester", None),
        ("subject", "Subject", "default_subject", None),
        ("ticket_type", "Type", "default_ticket_type", account.types),
        ("source", "Source", "default_source", account.sources),
        ("status", "Status", "default_status", statuses),
        ("priority", "Priority", "default_priority", account.priorities),
        ("group", "Group", "default_group", groups),
        ("agent", "Agent", "default_agent", agents),
        ("product", "Product", "default_product", products),
        ("description", "Description", "default_description", None),
        ("company", "Company", "default_company", None),
    ]
    rows += [
        (f["name"], f["label"], _CUSTOM_TYPES[f["kind"]], f.get("choices")) for f in account.custom_fields.values()
    ]
    return [_field(position, *row) for position, row in enumerate(rows, start=1)]


def _field(position: int, name: str, label: str, kind: str, choices: Any) -> JSONObject:
    required = name in {"requester", "subject", "status", "priority", "description"}
    default = kind.startswith("default_")
    field: JSONObject = {
        "id": _FIRST_FIELD_ID + position,
        "name": name,
        "label": label,
        "description": None,
        "position": position,
        "required_for_closure": False,
        "required_for_agents": required,
        "type": kind,
        "default": default,
        "customers_can_edit": name in {"requester", "subject", "description"},
        "customers_can_filter": False,
        "label_for_customers": label,
        "required_for_customers": name in {"requester", "subject"},
        "displayed_to_customers": name in {"requester", "subject", "description", "status"},
        **_TIMES,
    }
    if name == "requester":
        field |= {"portal_cc": False, "portal_cc_to": "company"}
    if choices is not None:
        field["choices"] = choices
    return field


def groups(account: Account) -> list[JSONObject]:
    """GET /groups, sorted by name as the real one is."""
    return sorted((_group(group) for group in account.groups.values()), key=lambda group: group["name"])


def _group(group: JSONObject) -> JSONObject:
    return {
        "id": group["id"],
        "name": group["name"],
        "description": group["description"],
        "escalate_to": None,
        "unassigned_for": None,
        "business_hour_id": None,
        "group_type": "support_agent_group",
        **_TIMES,
        "auto_ticket_assign": 0,
        "agent_availability_status": False,
    }


def products(account: Account) -> list[JSONObject]:
    """GET /products."""
    first = next(iter(account.products))
    return [
        {
            "id": product["id"],
            "name": product["name"],
            "description": None,
            "primary_email": account.email_configs[product["email_config_id"]]["reply_email"],
            "default": product["id"] == first,
            **_TIMES,
        }
        for product in account.products.values()
    ]


def email_configs(account: Account) -> list[JSONObject]:
    """GET /email_configs."""
    return [{**config, **_TIMES} for config in account.email_configs.values()]


def agents(account: Account) -> list[JSONObject]:
    """GET /agents."""
    return [agent(account, found) for found in account.agents.values()]


def agent(account: Account, found: JSONObject) -> JSONObject:
    """GET /agents/me and /agents/{id}."""
    return {
        "available": False,
        "occasional": False,
        "id": found["id"],
        "ticket_scope": 1,
        "signature": None,
        "group_ids": list(account.groups),
        "role_ids": [1070000000701],
        "skill_ids": [],
        "available_since": None,
        "type": "support_agent",
        "focus_mode": True,
        **_TIMES,
        "contact": {
            "active": True,
            "email": found["email"],
            "job_title": None,
            "language": "es-LA",
            "last_login_at": None,
            "mobile": None,
            "name": found["name"],
            "phone": None,
            "time_zone": "Buenos Aires",
            **_TIMES,
        },
    }


def helpdesk(account: Account) -> JSONObject:  # noqa: ARG001 - one signature for every read of the account
    """GET /settings/helpdesk."""
    return {"primary_language": "es-LA", "supported_languages": ["en"], "portal_languages": ["es-LA", "en"]}


def about(account: Account) -> JSONObject:
    """GET /account."""
    return {
        "organisation_id": 1070000000801,
        "organisation_name": account.data["name"],
        "account_id": 1070000000802,
        "account_name": account.data["name"],
        "account_domain": "local.freshdesk.invalid",
        "tier_type": "Enterprise",
        "data_center": "US",
        "timezone": "Buenos Aires",
        "total_agents": {
            "full_time": len(account.agents),
            "occasional": 0,
            "field_service": 0,
            "collaborators": 0,
        },
    }
