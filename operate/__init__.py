"""The operator's commands, one room each; `ops.py` is their door. Never part of what is deployed."""
