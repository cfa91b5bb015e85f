"""The weather page: a panel for people, and JSON for programs at the same address."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flask import jsonify, redirect, render_template, request

from dev.local_freshdesk.faults import Fault, UnknownFaultError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask
    from flask.typing import ResponseReturnValue

    from dev.local_freshdesk.helpdesk import HelpDesk

WEATHERS: Final[dict[str, dict[str, Any]]] = tomllib.loads(Path(__file__).with_name("weather.toml").read_text("utf-8"))


class WeatherPage:
    """GET and POST /weather."""

    def __init__(self, helpdesk: HelpDesk) -> None:
        self._faults = helpdesk.faults

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/weather", "weather", self.show)
        app.add_url_rule("/weather", "change_weather", self.change, methods=["POST"])

    def show(self) -> ResponseReturnValue:
        """Show the panel."""
        return render_template("weather.html", here="weather", problem=None)

    def change(self) -> ResponseReturnValue:
        """Begin with the fault in the JSON or the panel's form; 400 where there is no such fault."""
        try:
            if request.is_json:
                self._faults.change(_read_json(request.get_json(silent=True)))
                return "", 204
            self._faults.change(_read_form(request.form))
            return redirect("/weather", 303)
        except UnknownFaultError as error:
            if request.is_json:
                return jsonify({"error": str(error)}), 400
            return render_template("weather.html", here="weather", problem=str(error)), 400


def _read_json(body: Any) -> Fault:
    if not isinstance(body, dict) or not body.keys() <= {"weather", "seconds", "times", "only"}:
        raise UnknownFaultError("the body must be a JSON object of weather, seconds, times and only")
    return Fault.read(body.pop("weather", None), **body)


def _read_form(form: Mapping[str, str]) -> Fault:
    """Return the fault of a form; what it leaves empty is as usual for that weather."""
    name, seconds, times = (form.get(field, "") for field in ("weather", "seconds", "times"))
    usual = WEATHERS.get(name, {})
    try:
        return Fault.read(
            name,
            seconds=float(seconds.replace(",", ".")) if seconds else None,
            times=usual.get("times") if not times else None if times == "always" else int(times),
            only=form.get("only") or usual.get("only", "all"),
        )
    except ValueError as error:
        raise UnknownFaultError(str(error)) from error
