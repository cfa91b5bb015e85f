"""The weather: a panel for people, JSON for programs, the same address for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flask import jsonify, redirect, render_template, request

from dev.local_freshdesk.weather import Only, UnknownWeatherError, Weather

if TYPE_CHECKING:
    from flask import Flask
    from flask.typing import ResponseReturnValue

    from dev.local_freshdesk.desk import HelpDesk


@dataclass(frozen=True, slots=True)
class Told:
    """How the panel tells one weather: its name, what happens, what the newcomer sees and why nothing is lost.

    `times` and `only` are what makes `seen` come true, for whoever chooses the card and nothing else.
    """

    title: str
    icon: str
    mood: str
    happens: str
    seen: str
    times: int | None = None
    only: Only = "all"


WEATHERS: Final = {
    "healthy": Told(
        "Despejado",
        "sun",
        "good",
        "Freshdesk contesta al instante.",
        "El bot dice el número de ticket en el acto: una llamada, un ticket.",
    ),
    "slow": Told(
        "Lento",
        "cloud",
        "uneasy",
        "Freshdesk tarda en contestar y después funciona normal.",
        "El bot espera. Si pasan los 12 s, da una referencia y la función mira si el ticket llegó a crearse.",
    ),
    "rate-limited": Told(
        "Límite alcanzado",
        "wind",
        "uneasy",
        "Freshdesk responde 429 y pide esperar (Retry-After).",
        "Si la espera es corta, sale el número; si no, una referencia, y el barrido crea el ticket más tarde.",
        times=1,
    ),
    "broken": Told(
        "Error 500",
        "storm",
        "bad",
        "Freshdesk falla con «something went wrong».",
        "El bot da una referencia. El pedido queda guardado, en duda, y se resuelve cuando Freshdesk vuelve.",
    ),
    "html-502": Told(
        "502 en HTML",
        "storm",
        "bad",
        "Un intermediario contesta con una página HTML en vez de JSON.",
        "Igual que un error 500: nadie sabe si el ticket existe, así que la función mira antes de volver a crear.",
    ),
    "down": Told(
        "Caído",
        "off",
        "bad",
        "Las conexiones se cortan sin que nadie lea el pedido.",
        "El bot da una referencia. Al volver el buen tiempo, el barrido crea un solo ticket.",
    ),
    "answer-lost": Told(
        "Respuesta perdida",
        "lost",
        "tricky",
        "El ticket se crea, pero la respuesta nunca llega.",
        "Repetir haría dos tickets. La función busca la referencia, encuentra el ticket y da su número.",
        only="create",
    ),
    "late-write": Told(
        "Escritura tardía",
        "clock",
        "tricky",
        "La conexión se corta y el ticket aparece segundos después.",
        "La trampa más difícil: al mirar no hay nada todavía. La función espera, vuelve a mirar y no duplica.",
    ),
}
ALWAYS: Final = "always"


class WeatherPanel:
    """GET and POST /weather."""

    def __init__(self, desk: HelpDesk) -> None:
        self._desk = desk

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/weather", "weather", self.tell)
        app.add_url_rule("/weather", "change_weather", self.change, methods=["POST"])

    def tell(self) -> ResponseReturnValue:
        """The panel for a browser, JSON for anything else."""
        if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
            return render_template("weather.html", here="weather", fault=None)
        return jsonify(self._desk.sky.now().as_dict())

    def change(self) -> ResponseReturnValue:
        """Change the weather from JSON or from the panel's form; 400 where it does not exist."""
        from_form = not request.is_json
        try:
            weather = self._desk.sky.change(_read_form() if from_form else _read_json())
        except UnknownWeatherError as error:
            if from_form:
                return render_template("weather.html", here="weather", fault=str(error)), 400
            return jsonify({"error": str(error)}), 400
        return redirect("/weather", 303) if from_form else jsonify(weather.as_dict())


def _read_json() -> Weather:
    said: Any = request.get_json(silent=True)
    if not isinstance(said, dict):
        raise UnknownWeatherError("the body must be a JSON object")
    unknown = set(said) - {"weather", "seconds", "times", "only", "body"}
    if unknown:
        raise UnknownWeatherError(f"unknown: {', '.join(sorted(unknown))}")
    return Weather.of(said.pop("weather", None), **said)


def _read_form() -> Weather:
    said = request.form
    try:
        seconds = float(said["seconds"].replace(",", ".")) if said.get("seconds") else None
        times = int(said["times"]) if said.get("times", ALWAYS) not in {"", ALWAYS} else None
    except ValueError as error:
        raise UnknownWeatherError("seconds and times must be numbers") from error
    usual = WEATHERS.get(said.get("weather", ""), WEATHERS["healthy"])
    return Weather.of(
        said.get("weather"),
        seconds=seconds,
        times=times if said.get("times") else usual.times,
        only=said.get("only") or usual.only,
        body=said.get("body", "json"),
    )
