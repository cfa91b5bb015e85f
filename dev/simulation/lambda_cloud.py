"""What a proof needs of AWS: containers of the Lambda handlers that can be killed and frozen, a table, a help desk."""

from __future__ import annotations

import itertools
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dev.emulators.dynamodb import CREDENTIALS, REGION, dynalite, make_table
from dev.emulators.lambda_runtime import FunctionFailedError, LambdaRuntime
from dev.simulation.endpoints import SECRET
from dev.simulation.stand_in import KEY, ROOT, StandIn, open_stand_in
from handoff.ledger.dynamodb import DynamoDBLedger

FUNCTIONS: Final = 6
SWEEPS: Final = 2
SETTINGS: Final = {"DEADLINE_S": "4", "IN_DOUBT_WAIT_S": "3"}  # the lease is in lambda_entry
TIMEOUTS_S: Final = {"handler": 7, "sweep": 60}  # the bot gives up after 20 s where the deadline is 12 s
SWEEP_PAUSE_S: Final = 1.0


class Container:
    """A process that runs one of the handlers; when it is killed, the next one starts at once."""

    def __init__(self, handler: str, env: Mapping[str, str], folder: Path) -> None:
        self._handler, self._env, self._folder = handler, env, folder
        self._numbers = itertools.count()
        self._thaws: list[threading.Timer] = []
        self.called = threading.Event()
        self._called_at: float | None = None
        self.runtime = self._start()

    @property
    def in_call_s(self) -> float:
        """For how long it has been serving a call; 0.0 when it serves none."""
        called_at = self._called_at
        return 0.0 if called_at is None else time.monotonic() - called_at

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
        self._called_at = time.monotonic()
        self.called.set()
        with suppress(FunctionFailedError):
            yield
        self._called_at = None

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

    freshdesk: StandIn
    ledger: DynamoDBLedger
    functions: list[Container]
    sweeps: list[Container]
    idle: queue.Queue[Container] = field(default_factory=queue.Queue)

    def send(self, body: bytes, pauses_s: Sequence[float]) -> dict[str, Any]:
        """Send body after each pause, each time to an idle container, until something is promised; {} if nothing is."""
        for pause_s in pauses_s:
            time.sleep(pause_s)
            container = self.idle.get()
            answer = container.send(body)
            self.idle.put(container)
            if answer:
                return answer
        return {}

    def send_to_each(self, body: bytes, within_s: float) -> None:
        """Wait until every container has thawed, and has done what it was asked before and this."""
        until = time.monotonic() + within_s
        for container in self.functions:
            container.thaw()
            while not container.send(body) and time.monotonic() < until:
                pass

    def settle(self, within_s: float) -> bool:
        """Wait until the sweeps have left nothing to be done."""
        until = time.monotonic() + within_s
        while any(not row.is_parked for row in self.ledger.due(time.time() + 1e9, 1000)):
            if time.monotonic() > until:
                return False
            time.sleep(SWEEP_PAUSE_S)
        return True


@contextmanager
def open_cloud(folder: Path, env: Mapping[str, str], *, one_table: bool) -> Iterator[Cloud]:
    """Start everything; end it afterwards. Without `one_table` each process has a table of its own."""
    with ExitStack() as stack:
        freshdesk, endpoint = stack.enter_context(open_stand_in()), stack.enter_context(dynalite())
        table = make_table(endpoint)
        secrets = {"FRESHDESK_API_KEY": KEY, "WEBHOOK_SECRET": SECRET}
        env = {**CREDENTIALS, **secrets, **SETTINGS, **env, "FRESHDESK_URL": freshdesk.url}
        env |= {"PYTHONPATH": str(ROOT), "ENDPOINT": endpoint, **({"TABLE": table} if one_table else {})}

        def start(handler: str, number: int) -> Container:
            one = Container(handler, env, folder / f"{handler}-{number}")
            stack.callback(one.end)
            return one

        ledger = DynamoDBLedger(table, region=REGION, endpoint=endpoint, timeout_s=10.0)
        stack.callback(ledger.close)
        functions, sweeps = [start("handler", n) for n in range(FUNCTIONS)], [start("sweep", n) for n in range(SWEEPS)]
        for sweep in sweeps:
            stack.enter_context(doing(sweep.sweep))
        cloud = Cloud(freshdesk, ledger, functions, sweeps)
        for function in functions:
            cloud.idle.put(function)
        yield cloud


@contextmanager
def doing(work: Callable[..., None], *arguments: Any) -> Iterator[None]:
    """Do work in a thread, until the event is set that is its last argument."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(*arguments, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
