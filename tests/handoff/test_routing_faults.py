"""What the schema refuses in `routing.toml`: the key, and what to write instead, in plain Spanish."""

from __future__ import annotations

import json
import tomllib

import pytest

from handoff.routing import SCHEMA_FILE, schema_errors
from handoff.routing_errors import explain_schema
from tests.factories import SMALL_ROUTING as TEXT

SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def by_key(text: str) -> dict[str, str]:
    """Return the faults that the schema finds, by key."""
    found = list(explain_schema(schema_errors(tomllib.loads(text))))
    assert len({path for path, _ in found}) == len(found)
    return {".".join(path): message for path, message in found}


def of_bot(line: str) -> str:
    """Return the fault of one more line of the bot."""
    [message] = by_key(TEXT + line).values()
    return message


def test_a_valid_file_has_no_faults() -> None:
    """The smallest one."""
    assert by_key(TEXT + "custom_fields = { cf_a = 1.5, cf_b = true }\n") == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1.07e12", "el número va sin punto ni exponente: group_id = 1070000000000"),
        ("7.0", "el número va sin punto ni exponente: group_id = 7"),
        ('" 107 "', "el número va sin comillas: group_id = 107"),
        ("7.5", "tiene que ser un número entero, sin comillas ni punto: group_id = 1070000000109"),
        ("1e300", "tiene que ser un número entero, sin comillas ni punto: group_id = 1070000000109"),
        ("inf", "tiene que ser un número entero, sin comillas ni punto: group_id = 1070000000109"),
        ('"Pagos"', "tiene que ser un número entero, sin comillas ni punto: group_id = 1070000000109"),
        ("true", "tiene que ser un número entero, sin comillas ni punto: group_id = 1070000000109"),
        (f'"{"1" * 60}"', "tiene que ser un número entero, sin comillas ni punto: group_id = 1070000000109"),
        ("0", "tiene que ser 1 o más; escribí el número que muestra Freshdesk"),
        ("9" * 18, "es un número demasiado grande (hasta 9007199254740991); escribí el que muestra Freshdesk"),
    ],
)
def test_a_number_must_be_whole(value: str, message: str) -> None:
    """Freshdesk's numbers have no point, exponent or quotes."""
    assert by_key(TEXT.replace("group_id = 1", f"group_id = {value}")) == {"default.group_id": message}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('"alta"', '"alta" no vale: escribí priority = "high". Las opciones son "low", "medium", "high", "urgent"'),
        ('"High"', '"High" no vale: escribí priority = "high". Las opciones son "low", "medium", "high", "urgent"'),
        ('"ya"', '"ya" no vale: escribí una de estas opciones: "low", "medium", "high", "urgent"'),
        (f'"{"ñ" * 40}"', f'"{"ñ" * 40}" no vale: escribí una de estas opciones: "low", "medium", "high", "urgent"'),
        (f'"{"ñ" * 41}"', f'"{"ñ" * 40}…" no vale: escribí una de estas opciones: "low", "medium", "high", "urgent"'),
        ("true", 'true no vale: escribí una de estas opciones: "low", "medium", "high", "urgent"'),
        ("2", '2 no vale: escribí una de estas opciones: "low", "medium", "high", "urgent"'),
    ],
)
def test_a_priority_is_one_of_four(value: str, message: str) -> None:
    """For a Spanish word the message proposes Freshdesk's."""
    assert by_key(TEXT.replace('"low"', value)) == {"default.priority": message}


@pytest.mark.parametrize(
    "line", ['priority = "{}"', 'label = "{}"', 'tags = ["{}"]', "{} = 1", 'aliases = "{}"', 'subject = "{{{}}}"']
)
def test_a_long_value_is_not_repeated(line: str) -> None:
    """The message stays short."""
    text = f"{TEXT}[categories.a]\n{line.format('x' * 500)}\n"
    messages = [message for _, message in explain_schema(schema_errors(tomllib.loads(text)))]
    assert messages
    assert not any("x" * 41 in message for message in messages)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("name = 5", 'tiene que ser un texto entre comillas: name = "5"'),
        ("name = []", 'tiene que ser un texto entre comillas: name = "Betsur"'),
        ('name = ""', "está vacío: escribí el texto entre las comillas, o borrá la línea"),
        (f'name = "{"x" * 99}"', "es demasiado largo: tiene 99 caracteres y van hasta 80; acortalo"),
    ],
)
def test_a_name_must_be_a_text(line: str, message: str) -> None:
    """In quotes, not empty, not too long."""
    assert by_key(TEXT.replace('name = "Betsur"', line)) == {"bots.betsur.name": message}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('source = "Portal"', "tiene que ser un número entero, sin comillas ni punto: source = 2"),
        ('tags = "vip"', 'tiene que ser una lista entre corchetes: tags = ["vip"]'),
        ("tags = { a = 1 }", 'tiene que ser una lista entre corchetes: tags = ["sensible"]'),
        ('tags = ["a", 3]', 'el valor 2 de la lista tiene que ser un texto entre comillas: "3"'),
        ('tags = ["a", []]', 'el valor 2 de la lista tiene que ser un texto entre comillas: "…"'),
        (f"tags = {['x'] * 21}", "hay 21 y van hasta 20; borrá los que sobran"),
        (
            'custom_fields = "x"',
            "tiene que ser una tabla, no un valor suelto; se escribe así: custom_fields = { cf_pais",
        ),
        ("categories.x = 5", "tiene que ser una tabla, no un valor suelto; se escribe así: una línea entre corchetes"),
        ("custom_fields = { cf_a = nan }", "tiene que ser un texto entre comillas, un número, true o false"),
        ("custom_fields = { cf_a = 2026-01-01 }", "tiene que ser un texto entre comillas, un número, true o false"),
        ('subject = "{categoria}"', "entre llaves puede llevar sólo {category}, {reason}, {bot} y {name}, tal cual"),
        ('subject = ""', "está vacío: escribí el texto entre las comillas, o borrá la línea"),
        ('desk = "Otra Cuenta"', 'va en minúsculas, sin acentos, eñes ni espacios: escribí desk = "otra_cuenta"'),
        ('desk = "¡"', 'va en minúsculas, sin acentos, eñes ni espacios, como desk = "corporativo"'),
        (
            'grupo = "Pagos"',
            "«grupo» no se conoce acá; quizás quisiste escribir «group». Se puede poner: group_id, group,",
        ),
        ('grup = "Pagos"', "«grup» no se conoce acá; quizás quisiste escribir «group»."),
        ('color = "rojo"', "«color» no se conoce acá; borrá la línea. Se puede poner: group_id"),
        ('fallback_requester = "a@b.c"', "«fallback_requester» va al principio del archivo"),
    ],
)
def test_each_rule_has_a_message_with_its_correction(line: str, message: str) -> None:
    """Lists, tables, texts with a pattern, unknown keys."""
    assert of_bot(line + "\n").startswith(message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ('"Depósitos Y Más"', "el nombre va en minúsculas, sin acentos, eñes ni espacios: escribí depositos_y_mas"),
        ('"¡"', "el nombre va en minúsculas, sin acentos, eñes ni espacios"),
        ("x" * 65, "el nombre es demasiado largo: hasta 64 caracteres"),
    ],
)
def test_a_name_in_brackets_is_checked(name: str, message: str) -> None:
    """The names of tables are keys, too."""
    assert by_key(f"{TEXT}[categories.{name}]\n") == {f"categories.{name.strip(chr(34))}": message}


def test_a_missing_part_is_reported_with_a_line_to_add() -> None:
    """Each part has its own message."""
    text = TEXT.replace("group_id = 1\n", "").replace('name = "Betsur"\n', "")
    assert by_key(text) == {
        "default": "falta «group_id»: agregá group_id = 1070000000109",
        "bots.betsur": 'falta «name»: agregá name = "Betsur"',
    }


def test_a_file_without_bots_is_reported_with_a_line_to_add() -> None:
    """The file has an empty table of bots."""
    assert by_key(TEXT.partition("[bots")[0] + "[bots]\n") == {"bots": "falta al menos uno: agregá [bots.betsur]"}


def test_an_invalid_address_is_reported_as_such() -> None:
    """It is the address of the fallback requester."""
    found = by_key('fallback_requester = "ana"\n' + TEXT)["fallback_requester"]
    assert found.startswith('"ana" no es una dirección de correo: escribí, por ejemplo, fallback_requester = "pedidos@')
