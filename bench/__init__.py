"""What the function costs on top of Freshdesk's own time, against the least a function could do: `python -m bench`."""
