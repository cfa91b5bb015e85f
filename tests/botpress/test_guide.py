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


def card_variables() -> set[str]:
    """Return the workflow variables that the Cloud card reads (by their first name) and those that it sets."""
    text = CARDS["cloud"].read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))
    read = re.findall(r"captured\('(\w+)'", code)
    kept = re.findall(r"keep\('(\w+)'", code)
    result = code.split("const toResult = ")[1].split("\n})")[0]
    return {*read, *kept, *re.findall(r"^  (\w+):", result, re.MULTILINE)}


@pytest.mark.parametrize("language", GUIDES)
def test_the_guide_names_the_cards_variables(language: str) -> None:
    """The table of variables contains exactly those that the card reads and sets."""
    assert first_names(language, "variables") == card_variables()
    assert set(OUTPUTS) < card_variables()


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
    """The harness, which simulates Studio, enforces the type of each variable."""
    enforced = dict(re.findall(r"^  (\w+): (TEXT|'\w+')", harness(), re.MULTILINE))
    kinds = {"String": "TEXT", "Boolean": "'boolean'", "Number": "'number'"}
    documented = {row[0].strip("`"): kinds.get(row[1], "'any'") for row in table(language, "variables")}
    assert documented == enforced


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
    conditions = re.findall(r">(workflow\.\w+ (?:===|&gt;=) [^<]+)<", drawn)
    assert len(conditions) == 3
    for condition in conditions:
        assert f"`{condition.replace('&gt;', '>')}`" in guide
    assert set(re.findall(r"workflow\.(\w+)", drawn)) <= card_variables()
