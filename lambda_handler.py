"""The two entry points for AWS Lambda: `handler` for the Function URL, `sweep` for the schedule."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Any

if "LAMBDA_TASK_ROOT" in os.environ:
    gc.disable()  # during the imports, whose objects all stay: collecting them takes a tenth of a cold start
    # On Lambda the packages are in vendor/, and must take precedence over the botocore of the runtime.
    # Only there: they are built for Lambda's Python and CPU, not for this machine's.
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"] + "/vendor")

import flask
from apig_wsgi import make_lambda_handler
from werkzeug.routing import Rule

import main

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue


def create_ticket(**_path: str) -> ResponseReturnValue:
    """Answer a request on any path, as functions-framework does."""
    return main.create_ticket(flask.request)


def no_such_page(**_path: str) -> ResponseReturnValue:
    """Answer the two files that browsers and crawlers ask for with "not found", as functions-framework does."""
    flask.abort(404, description="Not Found")


def make_app() -> flask.Flask:
    """Mount the function on every method and path, with the same rules as functions-framework.

    Rules without `methods` take all of them, which `@app.route` cannot say:
    https://github.com/GoogleCloudPlatform/functions-framework-python (`_configure_app`).
    """
    app = flask.Flask(__name__, static_folder=None, template_folder=None)
    app.url_map.add(Rule("/", defaults={"path": ""}, endpoint="create_ticket"))
    app.url_map.add(Rule("/robots.txt", endpoint="no_such_page"))
    app.url_map.add(Rule("/favicon.ico", endpoint="no_such_page"))
    app.url_map.add(Rule("/<path:path>", endpoint="create_ticket"))
    app.view_functions = {"create_ticket": create_ticket, "no_such_page": no_such_page}
    return app


handler = make_lambda_handler(make_app())
gc.freeze()  # exclude the imported objects from later collections as well
gc.enable()


def sweep(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Run one pass of the sweep; return its counts, which Lambda shows to a manual caller."""
    return main.sweep_once().as_dict()
