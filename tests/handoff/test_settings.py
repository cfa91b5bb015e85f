"""The environment → settings, or every fault in it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from handoff.settings import (
    DEFAULT_ROUTING,
    PROJECT,
    DeliverySettings,
    LedgerAddress,
    Settings,
    SettingsError,
    read_ledger,
    read_routing,
    routing_file,
)
from tests.factories import API_KEY, SECRET

DESKS = """\
default_bot = "corp"
[default]
group_id = 1
priority = "low"
[bots.corp]
name = "Corp"
desk = "otra_cuenta"
[desks.otra_cuenta]
url = "https://otra.freshdesk.com/"
"""


def environ(**changes: str) -> dict[str, str]:
    """Return a complete environment."""
    return {
        "FRESHDESK_URL": "https://betsur.freshdesk.com",
        "FRESHDESK_API_KEY": API_KEY,
        "WEBHOOK_SECRET": SECRET,
        **changes,
    }


def faults(**changes: str) -> list[str]:
    """Return the faults of `environ(**changes)`, one in each line."""
    with pytest.raises(SettingsError) as caught:
        Settings.read(environ(**changes))
    return str(caught.value).splitlines()


def test_three_settings_are_enough() -> None:
    """Account, key and secret; everything else has a default."""
    settings = Settings.read(environ())
    assert settings.freshdesk_url == "https://betsur.freshdesk.com"
    assert settings.api_keys == {"": API_KEY}
    assert settings.secrets == (SECRET.encode(),)
    assert settings.ledger == LedgerAddress(store="sqlite", name=str(PROJECT / "handoffs.db"))
    assert (settings.deadline_s, settings.in_doubt_wait_s) == (12.0, 600.0)
    assert settings.routing.default_bot == "betsur"


def test_every_fault_is_reported_at_once() -> None:
    """Whoever deploys can correct all of them together."""
    with pytest.raises(SettingsError) as caught:
        Settings.read(
            {"LEDGER_URL": "redis://x", "DEADLINE_S": "soon", "IN_DOUBT_WAIT_S": "0", "ROUTING_FILE": "no.toml"}
        )
    lines = str(caught.value).splitlines()
    starts = (
        "FRESHDESK_URL",
        "FRESHDESK_API_KEY",
        "LEDGER_URL",
        "ROUTING_FILE",
        "DEADLINE_S",
        "IN_DOUBT_",
        "WEBHOOK_SECRET",
    )
    assert [line.removeprefix("- ").startswith(start) for line, start in zip(lines, starts, strict=True)] == [True] * 7


@pytest.mark.parametrize("name", ["FRESHDESK_URL", "FRESHDESK_API_KEY", "WEBHOOK_SECRET"])
@pytest.mark.parametrize("nothing", ["", "  "])
def test_a_setting_without_a_default_must_be_set(name: str, nothing: str) -> None:
    """No default sends a real handoff to a stand-in."""
    found = faults(**{name: nothing})
    assert len(found) == 1
    assert found[0].startswith(f"- {name} is not set: ")


BAD_URLS = (
    *("http://betsur.freshdesk.com", "https://betsur.freshdesk.com.example.org", "https://freshdesk.com"),
    *("https://help.example.com", "https://betsur.freshdesk.com/path", "https://u:p@betsur.freshdesk.com"),
    *(
        "https://betsur.freshdesk.com:8443",
        "betsur.freshdesk.com",
        "https://BETSUR.freshdesk.com?x=1",
        "ftp://x",
        "https://[",
    ),
)


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_key_is_sent_to_freshdesk_only(url: str) -> None:
    """Any other URL is refused, with the way to write it."""
    assert faults(FRESHDESK_URL=url)[0].startswith("- FRESHDESK_URL must be https://<name>.freshdesk.com")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8081", "http://localhost:8081/", "http://[::1]:8081", "https://localhost"]
)
def test_a_stand_in_on_this_machine_is_allowed(url: str) -> None:
    """A short secret is allowed there, too."""
    settings = Settings.read(environ(FRESHDESK_URL=url, WEBHOOK_SECRET="local-secret"))
    assert settings.freshdesk_url == url.rstrip("/")
    assert settings.secrets == (b"local-secret",)


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        (f" {SECRET} ", (SECRET,)),
        (f"{SECRET},{'n' * 32}", (SECRET, "n" * 32)),
        (f",{SECRET}, ,{'ñ' * 16},", (SECRET, "ñ" * 16)),
    ],
)
def test_several_secrets_are_allowed(value: str, secrets: tuple[str, ...]) -> None:
    """To rotate: add the new one, change the bots, remove the old one."""
    assert Settings.read(environ(WEBHOOK_SECRET=value)).secrets == tuple(secret.encode() for secret in secrets)


@pytest.mark.parametrize("secret", ["x" * 31, f"{SECRET},short"])
def test_a_short_secret_is_refused(secret: str) -> None:
    """Each one needs 32 characters if a real account is used."""
    assert faults(WEBHOOK_SECRET=secret) == [
        "- WEBHOOK_SECRET: each secret needs 32 characters or more: openssl rand -hex 32",
    ]
    assert Settings.read(environ(WEBHOOK_SECRET="x" * 32)).secrets == (b"x" * 32,)


def test_commas_alone_are_no_secret() -> None:
    """A function without a secret would accept no request, or any."""
    assert faults(WEBHOOK_SECRET=" , ,") == ["- WEBHOOK_SECRET holds no secret, only commas"]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("sqlite:///data/handoffs.db", LedgerAddress(store="sqlite", name=str(PROJECT / "data" / "handoffs.db"))),
        ("sqlite:////var/handoffs.db", LedgerAddress(store="sqlite", name="/var/handoffs.db")),
        ("sqlite:///h", LedgerAddress(store="sqlite", name=str(PROJECT / "h"))),
        ("sqlite:///:memory:", LedgerAddress(store="sqlite", name=":memory:")),
        ("dynamodb://handoffs?region=sa-east-1", LedgerAddress(store="dynamodb", name="handoffs", region="sa-east-1")),
        (
            "dynamodb://handoffs?region=us-east-1&region=sa-east-1",  # it is not clear which of the two is meant
            LedgerAddress(store="dynamodb", name="handoffs", region="sa-east-1"),
        ),
        (
            "dynamodb://t.a-b_1?region=us-east-1&endpoint=http://127.0.0.1:8000",
            LedgerAddress(store="dynamodb", name="t.a-b_1", region="us-east-1", endpoint="http://127.0.0.1:8000"),
        ),
    ],
)
def test_the_ledger_is_a_file_or_a_table(url: str, address: LedgerAddress) -> None:
    """Each has one valid form."""
    assert Settings.read(environ(LEDGER_URL=url)).ledger == address
    assert read_ledger({"LEDGER_URL": url}) == address


BAD_LEDGERS = (
    *("handoffs.db", "sqlite://handoffs.db", "sqlite:///", "dynamodb://handoffs", "dynamodb://?region=x"),
    *("dynamodb://h?region=", "dynamodb://a b?region=x", "postgres:///x", "dynamodb://ab?region=x", "sqlite://["),
    *("redis://handoffs?region=sa-east-1", "dynamodb://handoffs?region=sa-east-1&endpoint=ftp://127.0.0.1"),
)


@pytest.mark.parametrize("url", BAD_LEDGERS)
def test_any_other_ledger_is_refused(url: str) -> None:
    """The fault shows both valid forms."""
    assert faults(LEDGER_URL=url) == [
        "- LEDGER_URL must be sqlite:///path/to/file.db or dynamodb://table?region=sa-east-1",
    ]
    with pytest.raises(SettingsError, match="LEDGER_URL"):
        read_ledger({"LEDGER_URL": url})


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("DEADLINE_S", "4", "50"), ("IN_DOUBT_WAIT_S", "1", "86400")],
)
def test_times_have_limits(name: str, least: str, most: str) -> None:
    """The limits themselves are allowed; values past them, or that are no number, are not."""
    field = name.lower()
    assert getattr(Settings.read(environ(**{name: least})), field) == float(least)
    assert getattr(Settings.read(environ(**{name: most})), field) == float(most)
    for seconds in ("nan", "inf", "-1", "soon", f"{float(least) - 0.01}", f"{float(most) + 0.01}"):
        assert faults(**{name: seconds}) == [f"- {name} must be a number of seconds from {least} to {most}"]


def test_another_account_needs_its_key(tmp_path: Path) -> None:
    """Each account has a key in the environment, not in the routing file."""
    file = tmp_path / "routing.toml"
    file.write_text(DESKS, encoding="utf-8")
    found = faults(ROUTING_FILE=str(file))
    assert found == ["- FRESHDESK_API_KEY_OTRA_CUENTA is not set: the key for [desks.otra_cuenta] of the routing file"]
    settings = Settings.read(environ(ROUTING_FILE=str(file), FRESHDESK_API_KEY_OTRA_CUENTA="k2"))
    assert settings.api_keys == {"": API_KEY, "otra_cuenta": "k2"}


def test_another_account_must_be_at_freshdesk_too(tmp_path: Path) -> None:
    """Its key is sent nowhere else either."""
    file = tmp_path / "routing.toml"
    file.write_text(DESKS.replace("otra.freshdesk.com", "example.com"), encoding="utf-8")
    found = faults(ROUTING_FILE=str(file), FRESHDESK_API_KEY_OTRA_CUENTA="k2")
    assert found[0].startswith(
        "- routing.toml: línea 9: desks.otra_cuenta.url: tiene que ser una dirección de Freshdesk"
    )


def test_faults_of_the_routing_file_are_reported_with_the_others(tmp_path: Path) -> None:
    """With file, line and key."""
    file = tmp_path / "rutas.toml"
    file.write_text(DESKS.replace('"low"', '"baja"'), encoding="utf-8")
    found = faults(ROUTING_FILE=str(file), DEADLINE_S="x")
    assert found[0].startswith('- rutas.toml: línea 4: default.priority: "baja" no vale: escribí priority = "low"')
    assert found[1].startswith("- DEADLINE_S")


def test_a_missing_routing_file_is_a_fault(tmp_path: Path) -> None:
    """The fault has the path where it was expected."""
    file = tmp_path / "rutas.toml"
    assert faults(ROUTING_FILE=str(file)) == [f"- ROUTING_FILE cannot be read: {file} (FileNotFoundError)"]


def test_a_routing_file_saved_by_notepad_works(tmp_path: Path) -> None:
    """Its byte-order mark is ignored; its old encoding is reported as such."""
    file = tmp_path / "rutas.toml"
    file.write_bytes(DEFAULT_ROUTING.read_text(encoding="utf-8").replace("\n", "\r\n").encode("utf-8-sig"))
    assert Settings.read(environ(ROUTING_FILE=str(file))).routing.default_bot == "betsur"
    file.write_text("# atención\n" + DESKS, encoding="latin-1")
    found = faults(ROUTING_FILE=str(file))
    assert found[0].startswith("- rutas.toml: línea 1: el archivo no está guardado en UTF-8")


def test_parts_can_be_read_separately() -> None:
    """The sweep needs no webhook secret; the list of routes needs nothing else."""
    without_secret = {name: value for name, value in environ().items() if name != "WEBHOOK_SECRET"}
    assert DeliverySettings.read(without_secret).api_keys == {"": API_KEY}
    assert read_routing({}).default_bot == "betsur"
    assert routing_file({}) == DEFAULT_ROUTING
    assert routing_file({"ROUTING_FILE": "x.toml"}) == Path("x.toml")


def test_no_secret_is_shown() -> None:
    """Neither in the repr of the settings nor in the list of faults."""
    shown = repr(Settings.read(environ())) + "".join(faults(WEBHOOK_SECRET=SECRET[:20], DEADLINE_S="x"))
    assert SECRET[:20] not in shown
    assert API_KEY not in shown
    assert "routing=" not in shown  # it contains addresses of the company


@pytest.mark.parametrize("given", ["routing.toml", "./routing.toml", " routing.toml "])
def test_the_path_of_1_0_0_still_leads_to_the_routing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """The file moved to config/; an existing file at the old path takes precedence."""
    monkeypatch.chdir(tmp_path)
    assert routing_file({"ROUTING_FILE": given}) == DEFAULT_ROUTING.parent / given.strip()
    (tmp_path / "routing.toml").write_text("")
    assert routing_file({"ROUTING_FILE": given}) == Path(given.strip())
