"""`routes`: where everything goes, and every fault of routing.toml by line."""

from __future__ import annotations

from pathlib import Path

from tests.operate.operating import ROUTING, Station

TWO_ACCOUNTS = """\
default_bot = "uno"
[default]
group_id = 7
priority = "low"
[desks.otra]
url = "https://otra.freshdesk.com"
[desks.nadie]
url = "https://nadie.freshdesk.com"
[bots.uno]
name = "Uno"
[bots.dos]
name = "Dos"
desk = "otra"
[bots.dos.categories.ventas]
group_id = 9
group = "Ventas"
"""


def test_every_category_of_every_bot_has_a_line(station: Station) -> None:
    """So has what an unknown one gets; no key, ledger or network is needed."""
    ran = station.run("routes", "--json", without=("FRESHDESK_URL", "FRESHDESK_API_KEY", "LEDGER_URL"))
    assert ran.status == 0
    assert (ran.json["faults"], ran.json["remarks"]) == ([], [])
    found = {(route["bot"], route["category"]): route for route in ran.json["routes"]}
    assert len(found) == len(ran.json["routes"]) == 17
    assert found["betsur", "retiros"] == {
        "bot": "betsur",
        "category": "retiros",
        "label": "Retiros",
        "group": "Retiros",
        "group_id": 1070000000102,
        "priority": "high",
        "type": "Incidente",
        "product_id": 1070000000201,
        "source": 2,
        "tags": ["botpress", "bot:betsur"],
        "account": "",
    }
    assert found["institucional", None]["tags"] == ["botpress", "bot:institucional", "sin-categoria"]


def test_the_table_shows_names_for_people(station: Station) -> None:
    """Group with its number, priority, type, and the row of what is not known."""
    out = station.run("routes").out
    for shown in ("Pagos (1070000000101)", "urgent", "Solicitud", "(any other)", "sin-categoria", "main"):
        assert shown in out


def test_another_file_can_be_looked_at(station: Station, tmp_path: Path) -> None:
    """FILE wins over ROUTING_FILE; what is seldom meant is remarked upon."""
    file = tmp_path / "new.toml"
    file.write_text(TWO_ACCOUNTS)
    ran = station.run("routes", str(file), ROUTING_FILE=str(ROUTING))
    assert ran.status == 0
    assert "Ventas (9)" in ran.out
    assert "- fallback_requester is not set" in ran.out
    assert "- [desks.nadie] is used by no bot" in ran.out
    assert "- dos, (any other): no group_id" in ran.out
    assert "dos, ventas" not in ran.out
    assert "- uno" not in ran.out


def test_a_broken_file_is_reported_fault_by_fault(station: Station, tmp_path: Path) -> None:
    """Each fault names its line; the status is 1."""
    file = tmp_path / "broken.toml"
    file.write_text(TWO_ACCOUNTS.replace('"low"', '"lowest"').replace("group_id = 9", 'group_id = "nine"'))
    ran = station.run("routes", ROUTING_FILE=str(file))
    assert ran.status == 1
    assert 'broken.toml: línea 4: default.priority: "lowest" no vale: escribí una de estas opciones: "low"' in ran.out
    assert "broken.toml: línea 15: bots.dos.categories.ventas.group_id: tiene que ser un número entero" in ran.out
    assert "2 to fix" in ran.out
    shown = station.run("routes", str(file), "--json")
    assert shown.status == 1
    assert [fault["line"] for fault in shown.json["faults"]] == [4, 15]


def test_a_file_that_is_not_there_is_one_line(station: Station, tmp_path: Path) -> None:
    """The option or the setting that named it is shown."""
    file = tmp_path / "routing.toml"
    for ran, name in (
        (station.run("routes", str(file)), "FILE"),
        (station.run("routes", ROUTING_FILE=str(file)), "ROUTING_FILE"),
    ):
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.startswith(f"{name}: {file} cannot be read")


def test_a_file_is_read_as_windows_saves_it(station: Station, tmp_path: Path) -> None:
    """Its mark before the text is passed over; another encoding is a fault of the file, shown with the remedy."""
    file = tmp_path / "routing.toml"
    file.write_text(TWO_ACCOUNTS, encoding="utf-8-sig")
    assert station.run("routes", str(file)).status == 0
    file.write_text(TWO_ACCOUNTS + "# sólo\n", encoding="latin-1")
    ran = station.run("routes", str(file))
    assert ran.status == 1
    assert "el archivo no está guardado en UTF-8" in ran.out
    assert "guardalo como UTF-8" in ran.out
