"""`check`: routing.toml and the settings against a Freshdesk, each fault with the line to correct."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dev.local_freshdesk.helpdesk import AGENT_KEY, READONLY_KEY
from freshdesk_client import FreshdeskRefused
from handoff.routing import MAIN_ACCOUNT
from operate.checking import unread
from operate.preflight import read_choices
from tests.factories import API_KEY
from tests.leaks import canaries_in
from tests.operate.operating import ROUTING, Ran, Station

SHIPPED = ROUTING.read_text(encoding="utf-8")
SMALL = """\
default_bot = "uno"
fallback_requester = "pedidos@betsur.com.ar"
[default]
group_id = 101
priority = "low"
{default}
[bots.uno]
name = "Uno"
{bot}
[bots.uno.categories.pagos]
{category}
"""
FORM = [
    {"name": "subject", "label": "Asunto", "required_for_agents": True, "default": True},
    {"name": "group", "label": "Grupo", "default": True, "choices": {"Pagos": 101, "Retiros": 102}},
    {"name": "ticket_type", "label": "Tipo", "default": True, "choices": ["Consulta"]},
    {"name": "status", "label": "Estado", "default": True, "choices": {"2": ["Open", "En curso"]}},
    {"name": "source", "label": "Origen", "default": True, "choices": {"Portal": 2}},
    {"name": "priority", "label": "Prioridad", "default": True, "choices": {"Low": 1}},
    {"name": "agent", "label": "Agente", "default": True, "choices": {}},
    {"name": "product", "label": "Producto", "default": True, "choices": {}},
    {"name": "cf_canal", "label": "Canal", "type": "custom_dropdown", "default": False, "choices": ["Web"]},
    {
        "name": "cf_pais",
        "label": "País",
        "type": "nested_field",
        "default": False,
        "choices": {"Argentina": {"Salta": []}},
    },
    {"name": "cf_monto", "label": "Monto", "type": "custom_number", "default": False},
    {"name": "cf_vip", "label": "VIP", "type": "custom_checkbox", "default": False},
    "no field",
    {"label": "no name"},
]


def checked(station: Station, tmp_path: Path, text: str, **environ: str) -> Ran:
    """Check a routing file."""
    file = tmp_path / "routing.toml"
    file.write_text(text, encoding="utf-8")
    return replace(station, environ=station.environ | environ).run("check", "--json", ROUTING_FILE=str(file))


def found(ran: Ran, level: str = "fault") -> list[tuple[str, int | None]]:
    """Return what was found and on which line."""
    return [(one["what"], one["line"]) for one in ran.json["findings"] if one["level"] == level]


def line_of(text: str, start: str) -> int:
    """Return the number of the first line that starts so."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(start))


@contextmanager
def help_desk(**answers: Any) -> Iterator[str]:
    """Serve a help desk whose reads give these answers: a status, or JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = answers[self.path.removeprefix("/api/v2/").replace("/", "_")]
            raw = b"" if isinstance(said, int) else json.dumps(said).encode()
            self.send_response(said if isinstance(said, int) else 200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def small(station: Station, tmp_path: Path, *, form: Any = FORM, me: Any = None, **parts: str) -> Ran:
    """Check a small routing file, with lines added to it, against a small form."""
    text = SMALL.format(**{"default": "", "bot": "", "category": "", **parts})
    with help_desk(agents_me=me or {"ticket_scope": 1}, ticket_fields=form) as url:
        return checked(station, tmp_path, text, FRESHDESK_URL=url)


@pytest.mark.parametrize("key", [API_KEY, AGENT_KEY, READONLY_KEY])
def test_the_shipped_file_fits_the_stand_in_with_any_agents_key(station: Station, key: str) -> None:
    """Nothing that only an administrator may read is asked for, and nothing is written."""
    ran = station.run("check", FRESHDESK_API_KEY=key)
    assert ran.status == 0
    assert "Nothing to fix" in ran.out
    assert {method for method, _ in station.freshdesk.calls} == {"GET"}
    assert {path for _, path in station.freshdesk.calls} == {"/api/v2/agents/me", "/api/v2/ticket_fields"}


def test_the_example_address_is_pointed_out(station: Station) -> None:
    """It gets nobody's mail; that is no fault, but worth a look."""
    ran = station.run("check", "--json")
    assert found(ran, "warning") == [("fallback_requester", line_of(SHIPPED, "fallback_requester"))]
    assert ran.json["ok"] is True


@pytest.mark.parametrize(
    ("old", "new", "what", "start"),
    [
        ("group_id = 1070000000102", "group_id = 1070000000199", "group_id", "group_id = 1070000000199"),
        ('group = "Retiros"', 'group = "Cobros"', "group", 'group = "Cobros"'),
        ('type = "Reclamo"', 'type = "Queja"', "type", 'type = "Queja"'),
        ("product_id = 1070000000201", "product_id = 7", "product_id", "product_id = 7"),
        ("source = 2 ", "source = 7 ", "source", "source = 7 "),
        ('label = "Retiros"', 'label = "Retiros"\nresponder_id = 7', "responder_id", "responder_id = 7"),
    ],
)
def test_what_freshdesk_does_not_know_is_a_fault_on_its_line(
    station: Station, tmp_path: Path, old: str, new: str, what: str, start: str
) -> None:
    """Group, its name, type, product, source, agent."""
    text = SHIPPED.replace(old, new)
    ran = checked(station, tmp_path, text)
    assert ran.status == 1
    assert found(ran) == [(what, line_of(text, start))]


def test_a_fault_is_reported_once_with_the_routes_it_affects(station: Station, tmp_path: Path) -> None:
    """One line of [default] affects many routes; the choices there are stand in the text."""
    ran = checked(station, tmp_path, SHIPPED.replace('type = "Consulta"', 'type = "Duda"'))
    [fault] = [one for one in ran.json["findings"] if one["level"] == "fault"]
    assert "Freshdesk has no 'Duda'; it has Consulta, Reclamo, Incidente, Solicitud" in fault["text"]
    assert "betsur/otros, betsur/apuestas, betsur/promociones, betsur/(any other)" in fault["text"]


def test_the_table_names_file_and_line(station: Station, tmp_path: Path) -> None:
    """Faults stand first."""
    file = tmp_path / "routing.toml"
    file.write_text(SMALL.format(default="", bot="", category=""))
    with help_desk(agents_me={"ticket_scope": 1}, ticket_fields=FORM[2:]) as url:
        ran = station.run("check", ROUTING_FILE=str(file), FRESHDESK_URL=url)
    assert ran.status == 1
    assert "line of routing.toml" in ran.out
    assert ran.out.index("FIX ") < ran.out.index("ok ")
    assert "1 to fix." in ran.out


@pytest.mark.parametrize(
    ("category", "shown"),
    [
        (
            'custom_fields = { cf_nada = "x" }',
            "Freshdesk has no such field; it has cf_canal, cf_pais, cf_monto, cf_vip",
        ),
        ('custom_fields = { subject = "x" }', "Freshdesk has no such field"),
        ('custom_fields = { cf_canal = "Fax" }', "'Fax' is not one of Web"),
        ('custom_fields = { cf_pais = "Chile" }', "'Chile' is not one of Argentina"),
        ('custom_fields = { cf_monto = "1" }', "'1' does not fit a field of the type custom_number"),
        ("custom_fields = { cf_monto = true }", "True does not fit a field of the type custom_number"),
        ("custom_fields = { cf_vip = 1 }", "1 does not fit a field of the type custom_checkbox"),
        ("product_id = 5", "5: this account shows no product to choose from"),
    ],
)
def test_custom_fields_must_exist_and_fit(station: Station, tmp_path: Path, category: str, shown: str) -> None:
    """A value that is not a choice, or not of the field's type, costs the ticket that field."""
    ran = small(station, tmp_path, category=category)
    [fault] = [one for one in ran.json["findings"] if one["level"] == "fault"]
    assert shown in fault["text"]
    assert fault["line"] == 11


@pytest.mark.parametrize(
    ("described", "shown"),
    [
        ('"cf_nada"', "Freshdesk has no field cf_nada; it has cf_canal, cf_pais, cf_monto, cf_vip"),
        ('"cf_monto"', 'of the type custom_number: write { field = "cf_monto", type = "number" }'),
        ('{ field = "cf_vip", type = "number" }', 'write { field = "cf_vip", type = "checkbox" }'),
        (
            '{ field = "cf_canal", type = "dropdown", choices = ["Web", "Fax"] }',
            "Freshdesk does not have Fax; it has Web",
        ),
    ],
)
def test_fields_of_the_conversation_must_exist_and_fit(
    station: Station, tmp_path: Path, described: str, shown: str
) -> None:
    """A value of another type would be refused in every ticket; the line to write is shown."""
    ran = small(station, tmp_path, category=f"fields = {{ dato = {described} }}")
    [fault] = [one for one in ran.json["findings"] if one["level"] == "fault"]
    assert shown in fault["text"]
    assert fault["line"] == 11


def test_a_required_field_of_the_conversation_needs_a_default(station: Station, tmp_path: Path) -> None:
    """Else a conversation without the value costs a second call; with one it is no finding."""
    form = [*FORM, {"name": "cf_x", "label": "X", "type": "custom_text", "default": False, "required_for_agents": True}]
    without = small(station, tmp_path, form=form, bot='fields = { dato = "cf_x" }')
    assert ("fields.dato", 9) in found(without, "warning")
    assert without.status == 0
    given = small(station, tmp_path, form=form, bot='fields = { dato = { field = "cf_x", default = "-" } }')
    assert found(given, "warning") == [one for one in found(without, "warning") if one[0] != "fields.dato"]


def test_sound_custom_fields_are_no_fault(station: Station, tmp_path: Path) -> None:
    """Choice, nested choice, number and checkbox."""
    fields = 'custom_fields = { cf_canal = "Web", cf_pais = "Argentina", cf_monto = 5, cf_vip = true }'
    assert small(station, tmp_path, default=fields).status == 0


def test_what_an_agents_key_cannot_see_is_only_a_warning(station: Station, tmp_path: Path) -> None:
    """The list of agents, and the mailboxes."""
    ran = small(station, tmp_path, bot="responder_id = 5\nemail_config_id = 6")
    assert ran.status == 0
    assert found(ran, "warning") == [("responder_id", 9), ("email_config_id", 10)]


@pytest.mark.parametrize(
    ("field", "level", "line"),
    [
        ({"name": "cf_alta", "label": "Alta", "default": False}, "fault", 10),
        ({"name": "ticket_type", "label": "Tipo", "default": True, "choices": ["Consulta"]}, "fault", 10),
        ({"name": "company", "label": "Empresa", "default": True}, "warning", 10),
    ],
)
def test_a_required_field_that_no_route_sets(
    station: Station, tmp_path: Path, field: dict[str, Any], level: str, line: int
) -> None:
    """Freshdesk would refuse every ticket; of the company some accounts only say so."""
    form = [one for one in FORM if not isinstance(one, dict) or one.get("name") != field["name"]]
    ran = small(station, tmp_path, form=[*form, {**field, "required_for_agents": True}])
    assert ran.status == (1 if level == "fault" else 0)
    assert found(ran, level)[0] == (field["name"], line)


def test_a_required_field_that_is_set_is_no_fault(station: Station, tmp_path: Path) -> None:
    """By the default of every route."""
    form = [{**one, "required_for_agents": True} for one in FORM if isinstance(one, dict) and "name" in one]
    form = [one for one in form if one["name"] in {"group", "subject", "cf_canal", "source", "priority"}]
    assert small(station, tmp_path, form=form, default='custom_fields = { cf_canal = "Web" }').status == 0


@pytest.mark.parametrize("me", [{"ticket_scope": 2}, {"ticket_scope": 3}, {"id": 1}, ["?"]])
def test_a_key_that_does_not_see_every_ticket_is_a_fault(station: Station, tmp_path: Path, me: Any) -> None:
    """Tickets of other groups could not be found again: handoffs would become two."""
    ran = small(station, tmp_path, me=me)
    assert ran.status == 1
    assert found(ran) == [("FRESHDESK_API_KEY", None)]


@pytest.mark.parametrize(
    ("status", "what", "shown"),
    [
        (401, "FRESHDESK_API_KEY", "does not know this key"),
        (403, "FRESHDESK_API_KEY", "may not read this"),
        (404, "FRESHDESK_URL", "no such account"),
        (500, "FRESHDESK_URL", "no usable answer (status 500)"),
    ],
)
def test_a_read_that_fails_names_the_setting(station: Station, status: int, what: str, shown: str) -> None:
    """And how to correct it; the rest is checked all the same."""
    with help_desk(agents_me={"ticket_scope": 1}, ticket_fields=status) as url:
        ran = station.run("check", "--json", FRESHDESK_URL=url)
    assert ran.status == 1
    [fault] = [one for one in ran.json["findings"] if one["level"] == "fault"]
    assert fault["what"] == what
    assert shown in fault["text"]
    assert ("LEDGER_URL", None) in found(ran, "ok")


def test_one_read_that_fails_does_not_end_the_check(station: Station, tmp_path: Path) -> None:
    """The form is compared though the key's agent could not be read, and the other way round."""
    text = SMALL.format(default='type = "Queja"', bot="", category="")
    with help_desk(agents_me=500, ticket_fields=FORM) as url:
        assert found(checked(station, tmp_path, text, FRESHDESK_URL=url)) == [("FRESHDESK_URL", None), ("type", 6)]
    with help_desk(agents_me={"ticket_scope": 2}, ticket_fields=500) as url:
        ran = checked(station, tmp_path, text, FRESHDESK_URL=url)
    assert sorted(found(ran)) == [("FRESHDESK_API_KEY", None), ("FRESHDESK_URL", None)]


def test_reads_that_fail_alike_are_one_finding(station: Station) -> None:
    """A wrong key is one thing to correct."""
    with help_desk(agents_me=401, ticket_fields=401) as url:
        assert found(station.run("check", "--json", FRESHDESK_URL=url)) == [("FRESHDESK_API_KEY", None)]


@pytest.mark.parametrize(
    ("status", "code", "what", "text"),
    [
        (
            403,
            "account_suspended",
            "FRESHDESK_URL",
            "its owner has to reactivate it in Freshdesk (403 account_suspended)",
        ),
        (403, "password_lockout", "FRESHDESK_API_KEY_OTRA", "unlock them in Freshdesk (403 password_lockout)"),
        (403, "some_new_code", "FRESHDESK_API_KEY_OTRA", "may create and see tickets (403 some_new_code)"),
        (403, "", "FRESHDESK_API_KEY_OTRA", "may create and see tickets"),
    ],
)
def test_freshdesks_own_code_is_passed_on(status: int, code: str, what: str, text: str) -> None:
    """Nobody is sent to change a role where the account is suspended."""
    finding = unread(FreshdeskRefused(status, code=code), MAIN_ACCOUNT, "_OTRA", "")
    assert (finding.level, finding.what) == ("fault", what)
    assert finding.text.endswith(text)


def test_a_missing_ledger_is_not_made(station: Station, tmp_path: Path) -> None:
    """Before its first start the function has none yet: a warning, and no file."""
    ran = station.run("check", "--json", LEDGER_URL=f"sqlite:///{tmp_path}/other.db")
    assert ran.status == 0
    assert ("LEDGER_URL", None) in found(ran, "warning")
    assert not (tmp_path / "other.db").exists()


def test_a_form_that_is_no_list_holds_nothing(station: Station, tmp_path: Path) -> None:
    """Then nothing in the file is known to Freshdesk."""
    assert ("group_id", 4) in found(small(station, tmp_path, form={"odd": True}))


def test_a_freshdesk_that_cannot_be_reached_is_a_fault(station: Station) -> None:
    """It says to correct the address; no traceback, no key."""
    station.freshdesk.stop()
    ran = station.run("check")
    assert ran.status == 1
    assert "cannot be reached" in ran.out
    assert not canaries_in(ran.out + ran.err)


def test_a_fault_of_this_machine_is_not_the_addresss(station: Station, tmp_path: Path) -> None:
    """A missing list of authorities is named, and nobody is sent to correct FRESHDESK_URL."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
        ran = station.run("check", FRESHDESK_URL="https://betsur.freshdesk.com")
    assert "ca-bundle" in ran.out
    assert "correct REQUESTS_CA_BUNDLE" in " ".join(ran.out.split())
    assert "correct the address" not in ran.out


def test_another_account_is_checked_with_its_own_key_and_form(station: Station, tmp_path: Path) -> None:
    """Its bot inherits no numbers of the main account; a wrong address is reported with its line."""
    text = SMALL.format(default='type = "Consulta"', bot='desk = "otra"\ngroup_id = 777', category="group_id = 102")
    with (
        help_desk(agents_me={"ticket_scope": 1}, ticket_fields=FORM) as url,
        help_desk(agents_me=404, ticket_fields=404) as wrong,
    ):
        text += '[desks.otra]\nurl = "{url}"\n'
        key = {"FRESHDESK_URL": url, "FRESHDESK_API_KEY_OTRA": "x"}
        good = checked(station, tmp_path, text.format(url=url), **key)
        bad = checked(station, tmp_path, text.format(url=wrong), **key)
    assert found(good) == [("group_id", 10)]
    assert [one["account"] for one in good.json["findings"] if one["what"] == "group_id"] == ["otra"]
    assert found(bad) == [("desks.otra.url", 14)]


def test_a_ledger_that_does_not_answer_is_a_fault(station: Station, tmp_path: Path) -> None:
    """Together with all the rest."""
    ran = station.run("check", "--json", LEDGER_URL=f"sqlite:///{tmp_path}/no/such/folder/x.db")
    assert ran.status == 1
    assert found(ran) == [("LEDGER_URL", None)]


def test_a_file_without_a_fallback_is_pointed_out(station: Station, tmp_path: Path) -> None:
    """What is refused would wait for a person."""
    text = "\n".join(line for line in SHIPPED.splitlines() if not line.startswith("fallback_requester"))
    assert found(checked(station, tmp_path, text), "warning") == [("routing", None)]


def test_a_number_that_is_not_inherited_is_not_blamed(station: Station, tmp_path: Path) -> None:
    """A shared category's group belongs to the main account: the bot's own line is the one to correct."""
    text = SMALL.format(default='type = "Consulta"', bot='desk = "otra"\ngroup_id = 777', category="")
    text += "[categories.ventas]\ngroup_id = 102\n"
    with help_desk(agents_me={"ticket_scope": 1}, ticket_fields=FORM) as url:
        text += f'[desks.otra]\nurl = "{url}"\n'
        ran = checked(station, tmp_path, text, FRESHDESK_URL=url, FRESHDESK_API_KEY_OTRA="x")
    assert found(ran) == [("group_id", 10)]


@pytest.mark.parametrize(
    ("shown", "choices"),
    [
        (["Consulta"], (("Consulta", "Consulta"),)),
        ({"Pagos": 101}, ((101, "Pagos"),)),
        ({"2": ["Open", "Being Processed"]}, ((2, "Open"),)),
        ({"Argentina": {"Salta": []}}, (("Argentina", "Argentina"),)),
        ({"7": []}, (("7", "7"),)),
        ([], None),
        ({}, None),
        (None, None),
    ],
)
def test_choices_come_in_several_shapes(shown: Any, choices: Any) -> None:
    """One answer of Freshdesk holds them all."""
    assert read_choices(shown) == choices
