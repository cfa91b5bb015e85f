"""The operator's commands, one module each; `ops.py` starts them. Never part of what is deployed."""
