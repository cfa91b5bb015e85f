"""Answer a list of requests, as functions-framework does or as AWS Lambda does; a program of its own.

    python tests/deploy/answers_of.py framework|lambda < requests.json > answers.json

`main` reads its settings when it is imported, so each way gets a process with an environment of its own.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dev.emulators.lambda_runtime import answer_of, url_event  # noqa: E402 - found by the line above

Request = tuple[str, str, dict[str, str], str]  # method, path, headers, body in base64


def by_framework(requests: list[Request]) -> list[Any]:
    """Serve the requests as `functions-framework --target create_ticket` does."""
    import functions_framework  # noqa: PLC0415 - each way loads only its own

    create_app: Any = functions_framework.create_app
    client = create_app("create_ticket", str(ROOT / "main.py")).test_client()
    answers = []
    for method, path, headers, body in requests:
        sent = client.open(path, method=method, headers=headers, data=base64.b64decode(body))
        answers.append([sent.status_code, {k.lower(): v for k, v in sent.headers}, sent.get_data(as_text=True)])
    return answers


def by_lambda(requests: list[Request]) -> list[Any]:
    """Serve the requests as a Function URL does."""
    import lambda_handler  # noqa: PLC0415 - as above

    answers = []
    for method, path, headers, body in requests:
        result = lambda_handler.handler(url_event(method, path, headers, base64.b64decode(body)), None)
        answer = answer_of(result)
        answers.append([answer.status, answer.headers, answer.body.decode()])
    return answers


if __name__ == "__main__":
    ways = {"framework": by_framework, "lambda": by_lambda}
    json.dump(ways[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
