"""Run a packaged zip as AWS Lambda does: unpacked alone, under AWS's own runtime client, awslambdaric.

Lambda gives the client a small HTTP API to fetch events from and to bring answers to
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html); here it is served on loopback.
"""

from __future__ import annotations

import base64
import http.server
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

from deploy.aws.vendor import pip_environment

ROOT: Final = Path(__file__).resolve().parents[2]
TEXT_TYPES: Final = ("text/", "application/json", "application/javascript", "application/xml")
CALLER: Final = "203.0.113.9"
FUNCTION_ARN: Final = "arn:aws:lambda:us-east-1:123456789012:function:handoff"
HOST: Final = "local.lambda-url.us-east-1.on.aws"


class PythonMissingError(Exception):
    """Python 3.13 is not installed here; the message says what to do."""


class FunctionFailedError(Exception):
    """The function raised, did not start, ran out of time or died; a Function URL answers 502 then."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a Function URL's caller gets."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


def find_python() -> Path:
    """Return Python 3.13, as Lambda runs it: $PYTHON313, the PATH's or pyenv's; raise PythonMissingError."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.13.*/bin/python3.13"))
    for name in filter(None, (os.environ.get("PYTHON313"), shutil.which("python3.13"), *map(str, pyenv))):
        version = subprocess.run([name, "-m", "pip", "--version"], capture_output=True, text=True, check=False).stdout
        if "(python 3.13)" in version:
            return Path(name)
    raise PythonMissingError("Python 3.13 is missing: install it, or name it in PYTHON313. Lambda runs 3.13.")


def client_pins() -> str:
    """Return the lines of requirements/dev.txt for AWS's runtime client and what it needs."""
    pins = (ROOT / "requirements/dev.txt").read_text(encoding="utf-8")
    names = "awslambdaric|simplejson|snapshot-restore-py"
    return "".join(re.findall(rf"^(?:{names})==.*?(?=^\S)", pins, re.MULTILINE | re.DOTALL))


def make_python(python: Path, folder: Path) -> Path:
    """Make a virtual environment in folder with AWS's runtime client and nothing else; return its Python."""
    subprocess.run([str(python), "-m", "venv", "--without-pip", str(folder)], check=True)
    pins, made = folder / "requirements.txt", folder / "bin/python"
    pins.write_text(client_pins(), encoding="utf-8")
    pip = [str(python), "-m", "pip", "--python", str(made), "install", "--quiet", "--disable-pip-version-check"]
    env = pip_environment(os.environ)
    subprocess.run([*pip, "--no-deps", "-r", str(pins)], check=True, stdout=subprocess.PIPE, env=env)
    return made


def url_event(
    method: str = "POST", target: str = "/", headers: Mapping[str, str] | None = None, body: bytes = b""
) -> dict[str, Any]:
    """Return the event (payload format 2.0) that a Function URL makes of an HTTP request.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads. Bodies that are not text,
    by their media type or because they are not UTF-8, arrive in base64.
    """
    parts = urlsplit(target)
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    where = {"method": method, "path": parts.path, "protocol": "HTTP/1.1", "sourceIp": CALLER}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": parts.path,
        "rawQueryString": parts.query,
        "headers": {**sent, "host": HOST, "x-forwarded-for": CALLER, "x-forwarded-proto": "https"},
        "requestContext": {"http": where, "domainName": HOST, "requestId": str(uuid.uuid4())},
        "isBase64Encoded": False,
    }
    if parts.query:
        event["queryStringParameters"] = dict(parse_qsl(parts.query, keep_blank_values=True))
    return event | _body_fields(body, sent.get("content-type", ""))


def _body_fields(body: bytes, media_type: str) -> dict[str, Any]:
    if not body:
        return {}
    try:
        text = body.decode() if media_type.lower().startswith(TEXT_TYPES) else None
    except UnicodeDecodeError:
        text = None
    if text is not None:
        return {"body": text}
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def answer_of(result: Mapping[str, Any]) -> Answer:
    """Return what the Function URL would make of the handler's result."""
    body = result.get("body") or ""
    raw = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
    headers = {name.lower(): value for name, value in (result.get("headers") or {}).items()}
    return Answer(result["statusCode"], headers, raw)


class _Api(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that is stopped while it waits for an event is how each test ends."""


class LambdaRuntime:
    """One copy of the function, started as Lambda starts it; a context manager.

    It runs in `folder`, where the zip is unpacked if there is one; else `env` says in PYTHONPATH where the code is.
    `env` is the function's own environment as deployed; nothing of this process's environment is passed on.
    """

    def __init__(
        self,
        zip_path: Path | None,
        handler: str,
        *,
        python: Path,
        folder: Path,
        env: Mapping[str, str],
        timeout: int,
    ) -> None:
        self.handler, self.python, self.folder, self.timeout = handler, python, folder, timeout
        self._events: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._results: queue.Queue[tuple[str, str, Any]] = queue.Queue()
        self._env = dict(env)
        folder.mkdir(exist_ok=True)
        if zip_path is not None:
            with zipfile.ZipFile(zip_path) as package:
                package.extractall(folder)

    def __enter__(self) -> Self:
        """Start the API and the client."""
        self._api = _Api(("127.0.0.1", 0), self._routes())
        threading.Thread(target=self._api.serve_forever, args=(0.02,), daemon=True).start()
        command = [str(self.python), "-m", "awslambdaric", self.handler]
        self._log = (self.folder.parent / f"{self.folder.name}.log").open("w+b")
        self._process = subprocess.Popen(
            command, cwd=self.folder, env=self._environment(), stdout=self._log, stderr=self._log
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop both."""
        self._process.kill()
        self._process.wait()
        self._events.put(("", b""))  # ends the thread in which the client waited for an event
        self._api.shutdown()
        self._api.server_close()
        self._log.close()

    def _environment(self) -> dict[str, str]:
        return {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "handoff",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": "INFO",
            "LAMBDA_TASK_ROOT": str(self.folder),
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",  # the code folder on Lambda cannot be written
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            **self._env,
        }

    def signal(self, number: signal.Signals) -> None:
        """Send the function's process a signal; do nothing if it has ended."""
        self._process.send_signal(number)

    def call(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send an HTTP request to the Function URL."""
        return answer_of(self.invoke(url_event(method, target, headers, body)))

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Return the handler's result for one event; raise FunctionFailedError for a failed one."""
        request_id = str(uuid.uuid4())
        self._events.put((request_id, json.dumps(event).encode()))
        ends = time.monotonic() + self.timeout
        while time.monotonic() < ends and self._process.poll() is None:
            try:
                answered, kind, result = self._results.get(timeout=0.2)
            except queue.Empty:
                continue
            if answered not in {request_id, "init"}:
                continue  # the late answer to a call that was given up
            if kind == "response":
                return result
            raise FunctionFailedError(f"{kind}: {result}")
        raise FunctionFailedError(f"no answer; exit status {self._process.poll()}; {self.log()[-2000:]}")

    def log(self) -> str:
        """Return what the function has written so far: one JSON object a line."""
        return (self.folder.parent / f"{self.folder.name}.log").read_text()

    def _routes(self) -> type[http.server.BaseHTTPRequestHandler]:
        events, results, timeout = self._events, self._results, self.timeout

        class RuntimeApi(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

            def do_GET(self) -> None:
                """Hand out the next event, whenever there is one."""
                request_id, event = events.get()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Lambda-Runtime-Aws-Request-Id", request_id)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + timeout) * 1000)))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN)
                self.send_header("Content-Length", str(len(event)))
                self.end_headers()
                self.wfile.write(event)

            def do_POST(self) -> None:
                """Take an answer or an error: /2018-06-01/runtime/(invocation/ID|init)/(response|error)."""
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                *_, answered, kind = self.path.split("/")
                results.put((answered, kind, body))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

        return RuntimeApi
