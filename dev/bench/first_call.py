"""Import a function as a new copy on Lambda does and call it once: `first_call.py FOLDER MODULE`."""

import importlib
import os
import sys
import time
from pathlib import Path

folder, module = sys.argv[1:]
sys.path.insert(0, folder)
os.environ["LAMBDA_TASK_ROOT"] = folder
handler = importlib.import_module(module).handler
template = (Path(__file__).parent / "handoff.json").read_text(encoding="utf-8")

event = {
    "version": "2.0",
    "rawPath": "/",
    "rawQueryString": "",
    "isBase64Encoded": False,
    "headers": {"authorization": f"Bearer {os.environ['WEBHOOK_SECRET']}", "content-type": "application/json"},
    "requestContext": {"http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"}},
    "body": template.replace("PLACE", str(time.time_ns())),
}
answer = handler(event, None)
if answer["statusCode"] != 201:
    sys.exit(f"the function answered {answer}")
