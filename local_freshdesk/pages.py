"""The pages."""
from __future__ import annotations
from typing import TYPE_CHECKING
from flask import Flask, jsonify, request
from local_freshdesk.weather import UnknownWeatherError, Weather
if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue
    from local_freshdesk.bot import Bots
    from local_freshdesk.desk import Desk


def make_pages(desk: Desk, bots: Bots | None) -> Flask:
    """The pages of a desk as a Flask application."""
    app = Flask(__name__)

    @app.get("/weather")
    def tell_weather() -> ResponseReturnValue:
        return jsonify(desk.sky.now().as_dict())

    @app.post("/weather")
    def change_weather() -> ResponseReturnValue:
        said = dict(request.get_json())
        name = said.pop("weather", None)
        try:
            return jsonify(desk.sky.change(Weather.of(name, **said)).as_dict())
        except (UnknownWeatherError, TypeError) as error:
            return jsonify({"error": str(error)}), 400
    return app
