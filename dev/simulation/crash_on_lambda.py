"""`make crash-lambda`: the Lambda handlers on DynamoDB, in containers that are killed and frozen at random moments.

Each container is a process of its own under AWS's runtime client, and serves one call at a time. AWS freezes it between
two calls, and a machine may be suspended at any moment: here also for longer than the lease of a handoff lasts.
"""

from __future__ import annotations

import argparse
import itertools
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

import requests

from dev.emulators.dynamodb import CREDENTIALS, REGION, dynalite, make_table
from dev.emulators.lambda_runtime import FunctionFailedError, LambdaRuntime
from dev.local_freshdesk.children import tie
from dev.simulation.endpoints import SECRET
from dev.simulation.stories import body_of, json_of, number_in
from handoff.ledger.dynamodb import DynamoDBLedger

ROOT: Final = Path(__file__).resolve().parents[2]
KEY: Final = "local-freshdesk-key"
FUNCTIONS: Final = 6
SWEEPS: Final = 2
SENDERS: Final = 6
PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
SETTINGS: Final = {"DEADLINE_S": "4", "IN_DOUBT_WAIT_S": "3"}  # the lease is in lambda_entry
TIMEOUTS_S: Final = {"handler": 7, "sweep": 60}  # the bot gives up after 20 s where the deadline is 12 s
SWEEP_PAUSE_S: Final = 1.0
LATE_S: Final = 1.5  # below IN_DOUBT_WAIT_S: that is the promise's condition
FROZEN_S: Final = (0.2, 9.0)  # the suspensions just before a POST are in lambda_entry, and longer
STRIKES_A_SECOND: Final = 2.5
INTO_A_CALL_S: Final = 0.1
SETTLE_S: Final = 120.0
_WEATHERS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("healthy", {}),
    ("answer-lost", {"times": 3, "seconds": 0.05, "only": "create"}),
    ("late-write", {"times": 1, "seconds": LATE_S, "only": "create"}),
    ("broken", {"times": 2}),
    ("html-502", {"times": 1}),
    ("healthy", {}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survived:
    """What came of it; `in_call` is how many of the kills and freezes met a container that was serving a call."""

    tickets: int
    lost: int
    twice: int
    unheard: int
    false: int
    settled: bool
    in_call: int

    @property
    def kept(self) -> bool:
        """Return True if the promise was kept."""
        return self.settled and not (self.lost or self.twice or self.unheard or self.false)


class Container:
    """A process that runs one of the handlers; when it is killed, the next one starts at once."""

    def __init__(self, handler: str, env: Mapping[str, str], folder: Path) -> None:
        self._handler, self._env, self._folder = handler, env, folder
        self._numbers = itertools.count()
        self._thaws: list[threading.Timer] = []
        self.called, self.busy = threading.Event(), False
        self.runtime = self._start()

    def send(self, body: bytes) -> dict[str, Any]:
        """Send body to the Function URL; return the answer, {} if it promises nothing."""
        headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
        answer = None
        with self._calling():
            answer = self.runtime.call("POST", "/", headers, body)
        return answer.json if answer and answer.status < 300 else {}

    def sweep(self, over: threading.Event) -> None:
        """Run one pass after the other, as the schedule does."""
        while not over.wait(SWEEP_PAUSE_S):
            with self._calling():
                self.runtime.invoke({"source": "aws.events"})

    def kill(self) -> None:
        """Kill the process, without a word, and start the next."""
        killed = self.runtime
        killed.signal(signal.SIGKILL)
        self.runtime = self._start()
        killed.__exit__(None, None, None)

    def freeze(self, seconds: float) -> None:
        """Stop the process for a while, whatever it is doing."""
        self.runtime.signal(signal.SIGSTOP)
        self._thaws.append(threading.Timer(seconds, self.runtime.signal, (signal.SIGCONT,)))
        self._thaws[-1].start()

    def thaw(self) -> None:
        """Wait until nothing is frozen any more."""
        for timer in self._thaws:
            timer.join()

    def end(self) -> None:
        """End the process."""
        self.thaw()
        self.runtime.__exit__(None, None, None)

    @contextmanager
    def _calling(self) -> Iterator[None]:
        self.busy = True
        self.called.set()
        with suppress(FunctionFailedError):
            yield
        self.busy = False

    def _start(self) -> LambdaRuntime:
        table = self._env.get("TABLE") or make_table(self._env["ENDPOINT"])
        return LambdaRuntime(
            None,
            f"dev.simulation.lambda_entry.{self._handler}",
            python=Path(sys.executable),
            folder=self._folder.with_name(f"{self._folder.name}-{next(self._numbers)}"),
            env={**self._env, "LEDGER_URL": f"dynamodb://{table}?region={REGION}&endpoint={self._env['ENDPOINT']}"},
            timeout=TIMEOUTS_S[self._handler],
        ).__enter__()


@dataclass(frozen=True, slots=True)
class Cloud:
    """One help desk, one table, and the containers."""

    freshdesk_url: str
    ledger: DynamoDBLedger
    functions: list[Container]
    sweeps: list[Container]
    idle: queue.Queue[Container] = field(default_factory=queue.Queue)

    def send(self, number: int, pause_s: float) -> dict[str, Any]:
        """Send a handoff as the bot does, again after each pause until something was promised; {} when it gives up."""
        for wait_s in (pause_s, *PAUSES_S):
            time.sleep(wait_s)
            container = self.idle.get()
            answer = container.send(json_of(body_of(number)))
            self.idle.put(container)
            if answer:
                return answer
        return {}

    def strike(self, *, kills: int, freezes: int, random: Random) -> int:
        """Kill and freeze containers, every other one just after it was called; return how many were serving a call."""
        strikes, in_call = ["kill"] * kills + ["freeze"] * freezes, 0
        random.shuffle(strikes)
        for strike in strikes:
            time.sleep(random.expovariate(STRIKES_A_SECOND))
            container = random.choice([*self.functions, *self.sweeps])
            if random.random() < 0.5:
                container.called.clear()
                container.called.wait(SWEEP_PAUSE_S)
                time.sleep(random.uniform(0.0, INTO_A_CALL_S))
            in_call += container.busy
            container.kill() if strike == "kill" else container.freeze(random.uniform(*FROZEN_S))
        return in_call

    def thaw(self) -> None:
        """Wait until every container has done what it was asked; then each knows of one handoff that it has come."""
        until = time.monotonic() + SETTLE_S
        for container in self.functions:
            container.thaw()
            while not container.send(json_of(body_of(0))) and time.monotonic() < until:
                pass

    def settle(self) -> bool:
        """Wait until the sweeps have left nothing to be done."""
        until = time.monotonic() + SETTLE_S
        while any(not row.is_parked for row in self.ledger.due(time.time() + 1e9, 1000)):
            if time.monotonic() > until:
                return False
            time.sleep(SWEEP_PAUSE_S)
        return True

    def weather(self, name: str, **changes: Any) -> None:
        """Change the stand-in's weather."""
        requests.post(f"{self.freshdesk_url}/weather", json={"weather": name, **changes}, timeout=5).raise_for_status()

    def change_weather(self, random: Random, over: threading.Event) -> None:
        """Change it again and again."""
        while not over.wait(random.uniform(0.1, 0.5)):
            name, changes = random.choice(_WEATHERS)
            with suppress(requests.RequestException):
                self.weather(name, **changes)

    def tickets(self) -> Counter[int]:
        """Return how many tickets each story has."""
        found: Counter[int] = Counter()
        for page in range(1, 1000):
            query = {"per_page": "100", "page": str(page), "updated_since": "2020-01-01T00:00:00Z"}
            rows = requests.get(f"{self.freshdesk_url}/api/v2/tickets", query, auth=(KEY, "X"), timeout=10).json()
            found.update(number for row in rows if (number := number_in(row["subject"])) is not None)
            if len(rows) < 100:
                break
        return found


def run(
    *, handoffs: int, kills: int, freezes: int, suspended: int, seed: int, folder: Path, without: str = ""
) -> Survived:
    """Send all handoffs while containers die and freeze; wait until everything is settled, and count."""
    env = {"SUSPENDED_EVERY": str(handoffs // suspended if suspended else 0)}
    env |= {"WITHOUT_GUARDS": "1"} if without == "guards" else {}
    with _cloud(folder, env, one_table=without != "ledger") as cloud, ThreadPoolExecutor(SENDERS) as senders:
        pause_s = (kills + freezes) / STRIKES_A_SECOND * SENDERS / handoffs
        sent = [senders.submit(cloud.send, number, pause_s) for number in range(handoffs)]
        with _doing(cloud.change_weather, Random(seed + 1)):
            in_call = cloud.strike(kills=kills, freezes=freezes, random=Random(seed))
            told = [one.result() for one in sent]
        cloud.weather("healthy")
        cloud.thaw()
        settled = bool(without) or cloud.settle()
        time.sleep(LATE_S)
        tickets = cloud.tickets()
    return Survived(
        tickets=tickets.total(),
        lost=sum(tickets[number] == 0 for number in range(handoffs)),
        twice=sum(max(tickets[number] - 1, 0) for number in range(handoffs)),
        unheard=sum(not answer for answer in told),
        false=sum(bool(answer) and not tickets[number] for number, answer in enumerate(told)),
        settled=settled,
        in_call=in_call,
    )


@contextmanager
def _cloud(folder: Path, env: Mapping[str, str], *, one_table: bool) -> Iterator[Cloud]:
    """Start everything; end it afterwards."""
    with ExitStack() as stack:
        freshdesk_url, endpoint = stack.enter_context(_stand_in()), stack.enter_context(dynalite())
        table = make_table(endpoint)
        secrets = {"FRESHDESK_API_KEY": KEY, "WEBHOOK_SECRET": SECRET}
        env = {**CREDENTIALS, **secrets, **SETTINGS, **env, "FRESHDESK_URL": freshdesk_url}
        env |= {"PYTHONPATH": str(ROOT), "ENDPOINT": endpoint, **({"TABLE": table} if one_table else {})}

        def start(handler: str, number: int) -> Container:
            one = Container(handler, env, folder / f"{handler}-{number}")
            stack.callback(one.end)
            return one

        ledger = DynamoDBLedger(table, region=REGION, endpoint=endpoint, timeout_s=10.0)
        stack.callback(ledger.close)
        functions, sweeps = [start("handler", n) for n in range(FUNCTIONS)], [start("sweep", n) for n in range(SWEEPS)]
        for sweep in sweeps:
            stack.enter_context(_doing(sweep.sweep))
        cloud = Cloud(freshdesk_url, ledger, functions, sweeps)
        for function in functions:
            cloud.idle.put(function)
        yield cloud


@contextmanager
def _doing(work: Callable[..., None], *arguments: Any) -> Iterator[None]:
    """Do work in a thread, until the event is set that is its last argument."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(*arguments, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _stand_in() -> Iterator[str]:
    """Start the stand-in on a free port, without a rate limit to speak of."""
    limits = ["--total-per-minute", "1000000", "--create-per-minute", "1000000"]
    command = tie([sys.executable, "-m", "dev.local_freshdesk", "--port", "0", *limits])
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        try:
            yield (program.stdout.readline() if program.stdout else "").split("stand-in: ")[1].split(" ")[0]
        finally:
            program.terminate()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 when the promise was kept (with a control: when it was not)."""
    parser = argparse.ArgumentParser(prog="python -m dev.simulation.crash_on_lambda", description=__doc__)
    parser.add_argument("--handoffs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--freezes", type=int, help="a third of the kills unless given")
    parser.add_argument("--suspended", type=int, help="handoffs whose container is suspended just before it posts them")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and the weather")
    parser.add_argument("--logs", type=Path, help="an empty folder to keep the containers' logs in")
    parser.add_argument("--without", choices=("ledger", "guards"), default="", help="a control")
    said = vars(parser.parse_args(arguments))
    said["freezes"] = said["kills"] // 3 if said["freezes"] is None else said["freezes"]
    said["suspended"] = said["kills"] // 10 if said["suspended"] is None else said["suspended"]
    os.environ.update(CREDENTIALS)
    began_at, logs = time.monotonic(), said.pop("logs")
    with TemporaryDirectory() as folder:
        found = run(**said, folder=logs or Path(folder))
    print(f"{said['handoffs']:,} handoffs, {said['suspended']} suspended just before they were posted, ", end="")
    print(f"{said['kills']} kills, {said['freezes']} freezes, {found.in_call} of these in a call:")
    print(f"{found.tickets:,} tickets in {time.monotonic() - began_at:.0f} s; {found.lost} lost, ", end="")
    print(f"{found.twice} twice, {found.false} false answers, {found.unheard} senders gave up")
    return int(found.kept == bool(said["without"]))


if __name__ == "__main__":
    sys.exit(main())
