"""Request bodies read: strict enough JSON, or the multipart form that carries files."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any, Final

from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from dev.local_freshdesk.checks import Upload
from dev.local_freshdesk.wire import Answer, ApiRequest, RefusedError, internal_error, problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dev.local_freshdesk.checks import Field

_CUSTOM: Final = re.compile(r"custom_fields\[(\w+)\]")


def read_fields(request: ApiRequest, form: Mapping[str, Field], *, custom: Mapping[str, Field] | None = None) -> Any:
    """The fields of a request as one object; raises RefusedError: 415, or 400 where it is not a JSON object."""
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type == "application/json":
        return _read_json(request.body)
    if media_type == "multipart/form-data" and "attachments" in form:
        return _read_multipart(request.body, options, form, custom or {})
    raise RefusedError(Answer(415))


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _bad_json() from error
    if not isinstance(said, dict):
        raise _bad_json()
    return said


def _bad_json() -> RefusedError:
    return RefusedError(problem(400, "invalid_json", "Request body has invalid json format"))


def _read_multipart(
    body: bytes, options: Mapping[str, str], form: Mapping[str, Field], custom: Mapping[str, Field]
) -> dict[str, Any]:
    """Texts become what the field wants, for all values of a form are text (documented sample of attachments)."""
    parser = FormDataParser(stream_factory=_in_memory, silent=False)
    try:
        _, texts, uploads = parser.parse(io.BytesIO(body), "multipart/form-data", len(body), dict(options))
    except ValueError as error:
        raise RefusedError(internal_error()) from error
    said: dict[str, Any] = {}
    for name, values in texts.lists():
        _take(said, name, values, form, custom)
    for name, files in uploads.lists():
        key = name.removesuffix("[]")
        found = [_upload(file.filename or "", file.mimetype, file.stream.read()) for file in files]
        said[key] = [*said.get(key, []), *found]
    return said


def _in_memory(
    total_content_length: int | None,  # noqa: ARG001 - werkzeug's protocol names its arguments
    content_type: str | None,  # noqa: ARG001 - as above
    filename: str | None,  # noqa: ARG001 - as above
    content_length: int | None = None,  # noqa: ARG001 - as above
) -> io.BytesIO:
    """Where a file of a form goes while it is read: nothing is left open on disk."""
    return io.BytesIO()


def _take(
    said: dict[str, Any], name: str, values: list[str], form: Mapping[str, Field], custom: Mapping[str, Field]
) -> None:
    inner = _CUSTOM.fullmatch(name)
    if inner:
        key = inner[1]
        said.setdefault("custom_fields", {})[key] = _as_wanted(values[-1], custom.get(key))
    elif name == "custom_fields":
        # Malformed custom fields in a form crash the real one (node-freshdesk-api issue 147).
        raise RefusedError(internal_error())
    elif name.endswith("[]"):
        said[name[:-2]] = list(values)
    else:
        said[name] = _as_wanted(values[-1], form.get(name))


def _as_wanted(text: str, field: Field | None) -> Any:
    kind = field.kind if field else "text"
    if kind == "integer" and re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    if kind == "decimal" and re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", text):
        return float(text)
    if kind == "boolean" and text in {"true", "false"}:
        return text == "true"
    return text


def _upload(name: str, content_type: str, content: bytes) -> Upload:
    return Upload(name, content_type, len(content))
