"""The bare set on Lambda: the packages a function like this needs, imported and used once. No rule, no ledger."""

import os
import sys
from typing import Any

sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"] + "/vendor")

import flask
import jsonschema
import requests
from apig_wsgi import make_lambda_handler

validator = jsonschema.Draft202012Validator({"type": "object", "required": ["user_email", "category"]})
app = flask.Flask(__name__)
table: Any = None
if "TABLE" in os.environ:
    import botocore.session

    table = botocore.session.get_session().create_client("dynamodb", region_name="us-east-1")


@app.post("/")
def forward() -> tuple[dict[str, object], int]:
    """Check, note and forward one request."""
    asked = flask.request.get_json()
    validator.validate(asked)
    if table is not None:
        key = {"reference": {"S": asked["conversation_id"]}, "entry": {"S": "bare"}}
        table.put_item(TableName=os.environ["TABLE"], Item=key)
    made = requests.post(os.environ["FRESHDESK_URL"] + "/api/v2/tickets", json=asked, timeout=12).json()
    return {"status": "created", "ticket_id": made["id"]}, 201


handler = make_lambda_handler(app)
