"""The two guides agree with the cards: they declare exactly the variables and settings that the cards use."""

from __future__ import annotations

import re
import tomllib
from typing import Final

import pytest

from handoff.responses import PROBLEMS
from tests.botpress.cards import CARDS, OUTPUTS, ROOT

GUIDES: Final = {"en": ROOT / "botpress" / "README.md", "es": ROOT / "botpress" / "README.es.md"}
ONLY_FOR_GET: Final = {"missing-reference", "unknown-reference", "ambiguous-reference"}


def table(language: str, name: str) -> list[list[str]]:
    """Return the rows of a marked table of the guide, as cells, without the header."""
    text = GUIDES[language].read_text(encoding="utf-8")
    part = text.split(f"<!-- {name} -->\n")[1].split("<!-- end -->")[0]
    rows = [re.split(r"(?<!\\)\|", line.strip("|\n ")) for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def first_names(language: str, name: str) -> set[str]:
    """Return the names in backticks in the first cell of each row."""
    return {found for row in table(language, name) for found in re.findall(r"`([^`]+)`", row[0])}


def read_by_the_card() -> set[str]:
    """Return the workflow variables that the Cloud card reads, by their first names."""
    text = CARDS["cloud"].read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))
    return set(re.findall(r"captured\('(\w+)'", code))


def kept_by_the_card() -> set[str]:
    """Return what the Cloud card fills in."""
    text = CARDS["cloud"].read_text(encoding="utf-8")
    kept = re.findall(r"(?:keep\(\{|,) (contact\w+):", text)
    result = text.split("const toResult = ")[1].split("\n})")[0]
    return {*kept, *re.findall(r"^  (\w+):", result, re.MULTILINE)}


@pytest.mark.parametrize("language", GUIDES)
def test_the_guide_names_the_cards_variables(language: str) -> None:
    """The variables are those that the card reads; the fields of `contacto` those that it sets or a flow may add."""
    added = {"fields", "tags"}
    assert kept_by_the_card() == {*OUTPUTS, "contactKey", "contactTries"}
    assert first_names(language, "fields") == kept_by_the_card() | added
    assert first_names(language, "variables") == (read_by_the_card() - kept_by_the_card() - added) | {"contacto"}


@pytest.mark.parametrize("language", GUIDES)
def test_the_guide_names_the_cards_configuration(language: str) -> None:
    """The table of configuration contains exactly what the card reads from `env`."""
    text = CARDS["cloud"].read_text(encoding="utf-8")
    assert {row[0].strip("`") for row in table(language, "configuration")} == set(re.findall(r"env\.(\w+)", text))


@pytest.mark.parametrize("language", GUIDES)
def test_the_guide_names_v12_settings(language: str) -> None:
    """The guide contains exactly the EXPOSED_ names that the v12 action reads."""
    names = re.compile(r"EXPOSED_CONTACT_\w+")
    documented = set(names.findall(GUIDES[language].read_text(encoding="utf-8")))
    assert documented == set(names.findall(CARDS["v12"].read_text(encoding="utf-8")))


@pytest.mark.parametrize("language", GUIDES)
def test_the_guide_explains_every_error(language: str) -> None:
    """The table has a row for each code that the card sets by itself, or that the function answers to a handoff."""
    text = CARDS["cloud"].read_text(encoding="utf-8")
    own = set(re.findall(r"error: '([a-z]+)'", text)) | set(re.findall(r"late \? '(\w+)' : '(\w+)'", text)[0])
    documented = {name for name in first_names(language, "errors") if not name.startswith(("http_", "ticketError"))}
    assert documented == own | (set(PROBLEMS) - ONLY_FOR_GET)


@pytest.mark.parametrize("language", GUIDES)
def test_the_types_in_the_guide_are_those_of_the_harness(language: str) -> None:
    """The harness, which simulates Studio, enforces the type of each variable, in older flows of each field, too."""
    enforced = dict(re.findall(r"^  (\w+): (TEXT|'\w+')", harness(), re.MULTILINE))
    kinds = {"String": "TEXT", "Boolean": "'boolean'", "Number": "'number'", "Object": "'object'"}
    rows = [*table(language, "variables"), *table(language, "fields")]
    documented = {row[0].strip("`"): kinds.get(row[1], "'any'") for row in rows}
    assert {name: kind for name, kind in documented.items() if name not in {"fields", "tags"}} == enforced


@pytest.mark.parametrize("language", GUIDES)
def test_the_guide_has_a_row_for_every_status(language: str) -> None:
    """A status that is not the function's has a row of its own; one that nobody thought of has the last."""
    rows = table(language, "errors")
    documented = [name for row in rows for name in re.findall(r"`http_(\d*)`", row[0])]
    assert len(documented) == len(set(documented))
    known = {200, 201, 202, 204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 408, 410, 413, 415, 422, 425, 429}
    assert set(documented) == {"", *map(str, known | {500, 502, 503, 504})}


@pytest.mark.parametrize("language", GUIDES)
def test_the_guide_counts_arrows_and_minutes_correctly(language: str) -> None:
    """The arrows of its table and the minutes of its steps make what it says."""
    text = GUIDES[language].read_text(encoding="utf-8")
    arrows = re.findall(r"^\| .* \| .* \| (\d) \|$", text, re.MULTILINE)
    assert sum(map(int, arrows)) == 14
    assert ("fourteen arrows" in text) or ("catorce flechas" in text)
    minutes = re.findall(r"^### \d\. .* \((\d+) minut", text, re.MULTILINE)
    assert (len(minutes), sum(map(int, minutes))) == (7, 45)


@pytest.mark.parametrize("language", GUIDES)
def test_the_guide_quotes_the_cards_log(language: str) -> None:
    """Each line of the log that the guide explains is one that the card writes."""
    text = GUIDES[language].read_text(encoding="utf-8")
    part = text.split("<!-- end -->")[-1].split("\n## ")[0]
    quoted = re.findall(r"^\| `([^`]+)` \|", part, re.MULTILINE)
    card = CARDS["cloud"].read_text(encoding="utf-8")
    assert len(quoted) == 5
    assert [line for line in quoted if line.removesuffix("CONTACT_BOT").rstrip() not in card] == []


def harness() -> str:
    """Return the harness's table of variables."""
    text = (ROOT / "botpress" / "studio.mjs").read_text(encoding="utf-8")
    return text.split("export const VARIABLES = {")[1].split("\n}")[0]


@pytest.mark.parametrize("language", GUIDES)
def test_the_guide_has_the_categories_of_the_routing_file(language: str) -> None:
    """For each bot the guide lists its own categories in routing.toml and the shared ones."""
    routing = tomllib.loads((ROOT / "config" / "routing.toml").read_text(encoding="utf-8"))
    text = GUIDES[language].read_text(encoding="utf-8")
    for slug, bot in routing["bots"].items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{slug}` |"))
        documented = set(re.findall(r"`(\w+)`", row)) - {slug}
        assert documented == {*bot["categories"], *routing["categories"]}


def test_both_guides_have_the_same_content() -> None:
    """The guides have the same headings, tables, code and names; only the language differs."""
    english, spanish = (path.read_text(encoding="utf-8") for path in GUIDES.values())
    for shape in (r"^(#+) ", r"^(\d\.) ", r"`(workflow\.[^`]+)`", r"`(EXPOSED_\w+)`", r"^\| `(\w+)` \|"):
        pattern = re.compile(shape, re.MULTILINE)
        assert pattern.findall(english) == pattern.findall(spanish)
    assert english.split("```sh")[1].split("```")[0] == spanish.split("```sh")[1].split("```")[0]


def test_the_links_of_the_guides_work() -> None:
    """Every file that a guide links to exists."""
    for path in GUIDES.values():
        links = re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
        assert links
        assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("picture", ["flow.svg", "flow.en.svg"])
def test_the_picture_has_the_expressions_of_the_guides(picture: str) -> None:
    """Its conditions are those that the guides say to type, and it contains known variables only."""
    drawn = (ROOT / "botpress" / picture).read_text(encoding="utf-8")
    guide = GUIDES["en"].read_text(encoding="utf-8")
    conditions = re.findall(r">(workflow\.[\w.]+ (?:===|&gt;=) [^<]+)<", drawn)
    assert len(conditions) == 3
    for condition in conditions:
        assert f"`{condition.replace('&gt;', '>')}`" in guide
    assert "workflow.contacto = {}" in drawn
    assert set(re.findall(r"workflow\.contacto\.(\w+)", drawn)) <= kept_by_the_card()
    assert set(re.findall(r"workflow\.(\w+)", drawn)) <= read_by_the_card() | {"contacto"}
