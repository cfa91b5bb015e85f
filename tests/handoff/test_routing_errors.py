"""A `routing.toml` that is not TOML: the line to correct, and what to write there, in plain Spanish."""

from __future__ import annotations

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.routing import RoutingError, RoutingFault, load_routing
from handoff.routing_errors import NOT_UTF8, line_of
from handoff.settings import DEFAULT_ROUTING

SHIPPED = DEFAULT_ROUTING.read_bytes()
TEXT = """\
# dijo "hola
[default]
group_id = 1070000000109
priority = "medium"
[bots.betsur]
name = "Betsur"
"""
MEDIUM = 'priority = "medium"'
TWO_LISTS = 'tags = ["a", "b"\naliases = ["c"]'
FIRST_OF_TWO = 'aliases = ["c"]\ntags = ["a", "b"'


def fault(text: str) -> RoutingFault:
    """Return the only fault of a text that is not TOML."""
    with pytest.raises(RoutingError) as caught:
        load_routing(text)
    [found] = caught.value.faults
    return found


def in_place(line: str) -> RoutingFault:
    """Return the fault if the fourth line is this one."""
    return fault(TEXT.replace(MEDIUM, line))


@pytest.mark.parametrize(
    "line",
    [
        'priority = "medium',
        'priority = medium"',
        "priority = 'medium",
        "priority = “medium”",
        'priority = "medium”',
        "priority = «medium»",
        "priority = medium",
        'priority = "medium # lo usual',
    ],
)
def test_a_missing_or_curly_quote_is_corrected_in_the_message(line: str) -> None:
    """The message has the line as it should be."""
    found = in_place(line)
    assert (found.line, found.key) == (4, "default.priority")
    assert re.search(r"comillas? .*: escribí priority = \"medium( # lo usual)?\"$", found.message)


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("priority =", "falta el valor después del =; un texto va entre comillas: priority ="),
        ('priority "medium"', "falta el signo ="),
        ("un comentario sin numeral", "falta el signo ="),
        ("= 3", "falta el nombre a la izquierda del ="),
        ('prióridad = "alta"', "el nombre a la izquierda del = va sin acentos, eñes ni espacios: escribí prioridad"),
        ("ñ = 1", "el nombre a la izquierda del = va sin acentos, eñes ni espacios: escribí n"),
        ("¡ = 1", "el nombre a la izquierda del = va sin acentos, eñes ni espacios: escribí otro"),
        ('priority\u00a0= "medium"', "hay un carácter invisible"),
        ('priority = "me\x01dium"', "hay un carácter invisible"),
        ('priority = "medium" lo usual', "después del valor sobra algo"),
        ('priority = "a\\\\b" lo usual', "después del valor sobra algo"),
        ('priority = "C:\\x"', "la barra invertida \\ se escribe dos veces: \\\\"),
        (
            "product_id = 1.070.000",
            "un número va sólo con sus cifras, sin puntos, comas, letras ni espacios: escribí product_id = 1070000",
        ),
        (
            "product_id = 007",
            "un número va sólo con sus cifras, sin puntos, comas, letras ni espacios: escribí product_id = 7",
        ),
        ("product_id = Pagos", "un número va sólo con sus cifras, sin puntos, comas, letras ni espacios"),
        ("cf_vip = True", "se escribe en minúsculas: cf_vip = true"),
        ("custom_fields = {cf_vip = }", "entre llaves va así: custom_fields = {"),
        ('tags = ["a" "b"]', "la lista no está bien escrita"),
        ('tags = ["a, "b"]', "falta una comilla"),
        (f"subject = {'x' * 90}", "un texto va entre comillas rectas"),
    ],
)
def test_the_message_has_the_line_and_what_to_write(line: str, start: str) -> None:
    """It uses words of the file instead of its grammar; a long value is not repeated."""
    found = in_place(line)
    assert found.line == 4
    assert found.message.startswith(start)
    assert len(found.message) < 200


def test_a_line_is_proposed_only_if_it_is_valid_and_short() -> None:
    """An invalid or very long line would not help."""
    curly = 'las comillas tienen que ser rectas ("), no inclinadas (“ ”)'
    fits, too_long = (f"subject = “{'ñ' * number}”" for number in (68, 69))
    assert in_place("priority = “medium” ya").message == curly
    assert in_place(fits).message == f'{curly}: escribí subject = "{"ñ" * 68}"'
    assert in_place(too_long).message == curly
    assert in_place("label = Ñandú").message == 'un texto va entre comillas rectas: escribí label = "Ñandú"'


@pytest.mark.parametrize(
    ("header", "start"),
    [
        ("[bots.bet sur]", "el nombre entre corchetes va sin acentos, eñes ni espacios: escribí [bots.bet_sur]"),
        ("[bots.depósitos]", "el nombre entre corchetes va sin acentos, eñes ni espacios: escribí [bots.depositos]"),
        ("[]", "el nombre entre corchetes va sin acentos, eñes ni espacios: escribí [default]"),
        ("[bots.betsur", "falta el corchete que cierra: escribí [bots.betsur]"),
        ("[bots.betsur] el primero", "la línea tiene que decir sólo [bots.betsur]"),
        ("[bots.betsur]]", "la línea tiene que decir sólo [bots.betsur]"),
    ],
)
def test_the_message_proposes_a_valid_table_name(header: str, start: str) -> None:
    """Accents, blanks and brackets."""
    found = fault(TEXT.replace("[bots.betsur]", header))
    assert found.line == 5
    assert found.message.startswith(start)


@pytest.mark.parametrize(
    ("text", "line", "key", "start"),
    [
        (TEXT + 'name = "B"\n', 7, "bots.betsur.name", "«name» ya está escrito en la línea 6, en la misma tabla"),
        (TEXT + "[default]\n", 7, "default", "la tabla [default] ya está en la línea 2: juntá las dos"),
        ("bots = 1\n[bots.a]\n", 2, "", "este nombre ya está escrito más arriba con otro contenido"),
        ("a = [\n1,\n1,\n]\nbots = 1\n[bots.a]\n", 6, "", "este nombre ya está escrito más arriba"),
        ("a = 1\na = [\n2,\n]\n", 2, "a", "«a» ya está escrito en la línea 1"),
    ],
)
def test_a_duplicate_is_reported_with_its_first_line(text: str, line: int, key: str, start: str) -> None:
    """For a key, or a table."""
    found = fault(text)
    assert (found.line, found.key) == (line, key)
    assert found.message.startswith(start)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (TEXT.replace(MEDIUM, TWO_LISTS), 4),
        (TEXT.replace(MEDIUM, FIRST_OF_TWO), 5),
        (TEXT.replace(MEDIUM, "tags = [\n  uno,\n]"), 5),
        (TEXT + "tags = [", 7),
        (TEXT + "priority = \n\n", 7),
        (TEXT + "priority = ", 7),
        (TEXT + 'subject = """x\n\nfin', 7),
        ("a = [[1 2]]", 1),
        ('\na = ["x"\nb = 1\n', 2),
        ('a = ["q"]\nb = ["x" "y"]', 2),
        ('a = ["q"]\nx = 1\nb = ["x" "y"]', 3),
        ('a = "uno\u2028dos"\r\nb = x\r\n', 2),
    ],
)
def test_the_line_to_correct_is_not_where_the_parser_stopped(text: str, line: int) -> None:
    """For an open list or text it is the first line; for the end of the file, the last line that is not empty."""
    assert fault(text).line == line


def test_a_list_under_a_quoted_key_is_reported_at_the_line_of_the_parser() -> None:
    """Its first line is not searched for."""
    assert fault('"a b" = [1 2]').line == 1


def test_the_byte_order_mark_of_windows_is_ignored() -> None:
    """Notepad puts it before the first letter."""
    assert load_routing("\ufeff".encode() + SHIPPED) == load_routing(SHIPPED)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (TEXT.encode() + "# atención".encode("latin-1"), 7),
        ("\ufeffa = 1\n".encode() + "# ñ".encode("cp1252"), 2),
        (b"\n\xe1", 2),
        (TEXT.encode("utf-16"), None),
    ],
)
def test_another_encoding_is_reported_as_such(content: bytes, line: int | None) -> None:
    """The message has the line of the first letter that cannot be read, and how to save the file."""
    with pytest.raises(RoutingError) as caught:
        load_routing(content)
    assert caught.value.faults == (RoutingFault(line, "", NOT_UTF8),)
    assert NOT_UTF8.endswith("guardalo como UTF-8")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("default", "priority"), 4),
        (("default", "type"), 2),
        (("bots",), 5),
        (("bots", "otro"), None),
        (("nada",), None),
        ((), None),
    ],
)
def test_a_path_has_the_closest_line(path: tuple[str, ...], line: int | None) -> None:
    """Its own, that of its table, or that of the first table inside it."""
    assert line_of(TEXT, path) == line


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (RoutingFault(3, "default.priority", "mal"), "línea 3: default.priority: mal"),
        (RoutingFault(None, "bots", "mal"), "bots: mal"),
        (RoutingFault(3, "", "mal"), "línea 3: mal"),
    ],
)
def test_a_fault_is_shown_as_one_line(found: RoutingFault, shown: str) -> None:
    """Line, key and message; unknown parts are left out."""
    assert str(found) == shown


@given(st.integers(0, len(SHIPPED.decode())), st.sampled_from(["", '"', "“", "[", "]", "=", "\n", "#", "á", "\\", ","]))
def test_a_typo_anywhere_in_the_shipped_file_has_a_line_and_a_message(place: int, slip: str) -> None:
    """If tomllib refuses a text with one letter less or more, there is one message with a line number."""
    shipped = SHIPPED.decode()
    text = shipped[:place] + slip + shipped[place + (not slip) :]
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        found = fault(text)
        assert found.line is not None
        assert found.line <= text.count("\n") + 1
        assert found.message.splitlines() == [found.message]
