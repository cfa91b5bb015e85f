"""Changes the rule in small ways, one at a time, and asks whether the tests notice.

python -m dev.simulation.mutate [MODULE ...]     default: every module of TESTS
A change the tests do not notice is printed as a diff; the command ends with 1 unless EQUIVALENT says why it is none.
The changes are cosmic-ray's; they are made in copies of the source, never in the tree itself.
"""

from __future__ import annotations

import argparse
import ast
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from queue import Queue
from typing import Final

import botocore.session  # noqa: F401 -- as those below: loaded once here, and not again for every change
import flask  # noqa: F401
import hypothesis  # noqa: F401
import jinja2  # noqa: F401
import jsonschema  # noqa: F401
import moto.server  # noqa: F401
import pytest
import requests  # noqa: F401
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

ROOT: Final = Path(__file__).parents[2]
EQUIVALENT: Final = Path(__file__).parent / "equivalent.toml"
PATIENCE_S: Final = 120.0
# The files that hold a module to its word; the quickest first, for one failure is enough.
_LIVE: Final = tuple(f"tests/rule/test_{name}.py" for name in ("desks", "refused_rows", "repeats", "delivery_told"))
_AFTERWARDS: Final = tuple(f"tests/rule/test_recovery{name}.py" for name in ("", "_refused", "_notes", "_taken"))
_SLOWER: Final = tuple(
    f"tests/rule/test_{name}.py" for name in ("sweep_bounds", "sweep_stops", "sweep", "delivery", "without_memory")
)
TESTS: Final = {
    "rows": ("tests/test_rows.py", *_AFTERWARDS, *_LIVE, *_SLOWER),
    "delivery": (*_LIVE, *_AFTERWARDS, *_SLOWER),
    "recovery": (*_AFTERWARDS, *_LIVE, *_SLOWER),
    "outcome": (*_LIVE, "tests/test_answers.py"),
    "sweep": (
        *("tests/rule/test_sweep_bounds.py", "tests/rule/test_sweep.py", "tests/rule/test_sweep_stops.py"),
        "tests/test_main.py::test_a_pass_of_the_schedule_ends_within_its_minute",
    ),
    "desk": ("tests/test_desk.py", "tests/test_looking.py", *_LIVE, *_AFTERWARDS, *_SLOWER),
    "routing": ("tests/test_routing.py",),
    "routing_faults": ("tests/test_routing_faults.py", "tests/test_routing.py"),
    "routing_text": ("tests/test_routing_text.py", "tests/test_routing.py", "tests/house/test_doctests.py"),
    "handoff": ("tests/test_handoff.py",),
    "main": ("tests/test_main.py", "tests/hostile/test_bodies.py"),
    "answers": ("tests/test_answers.py",),
    "ticket": (
        *("tests/test_ticket.py", "tests/house/test_doctests.py"),
        "tests/test_main.py::test_a_broken_file_stops_the_start_of_the_process",
    ),
    "text": ("tests/house/test_doctests.py", "tests/test_text.py", "tests/test_ordinary_email.py"),
    "strict_json": (
        *("tests/test_strict_json.py", "tests/hostile/test_json_corpus.py"),
        "tests/test_main.py::test_a_body_is_read_to_the_byte",
    ),
    "plain_check": ("tests/test_plain_check.py",),
    "settings": ("tests/test_settings.py",),
    "freshdesk_client": ("tests/test_freshdesk_client.py",),
    "pages": ("tests/test_pages.py", "tests/test_looking.py", "tests/test_desk.py"),
    "freshdesk_url": ("tests/test_freshdesk_client.py",),
    "rate_limit": ("tests/test_rate_limit.py", "tests/test_freshdesk_client.py", "tests/test_desk.py"),
    "transport": ("tests/test_connections.py", "tests/test_transport.py"),
    "turn": ("tests/test_desk.py",),
    "journal": ("tests/test_journal.py",),
    "logs": ("tests/test_logs.py",),
    "lambda_handler": ("tests/deploy/test_same_answers.py",),
    "ledger/__init__": (
        *("-k", "row or sqlite", "tests/ledger/test_row.py", "tests/test_rows.py"),
        *("tests/ledger/test_unreadable.py", "tests/ledger/test_contract.py"),
    ),
    "ledger/dynamodb": (
        *("-k", "moto or dynamodb"),
        *("tests/ledger/test_contract.py", "tests/ledger/test_unreadable.py", "tests/ledger/test_dynamodb.py"),
    ),
    "ledger/sqlite": (
        *("-k", "sqlite or together", "tests/ledger/test_contract.py", "tests/ledger/test_sqlite.py"),
        "tests/ledger/test_together.py",
    ),
}
OPERATORS: Final = (
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt")),
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "BitOr_BitAnd")),
    *("ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not", "AddNot", "NumberReplacer"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small change: the module, the line, what stood there and what stands there now."""

    module: str
    line: int
    before: str
    after: str
    source: str

    @property
    def name(self) -> str:
        """What `equivalent.toml` calls it."""
        return f"{self.before}  →  {self.after}"


def mutants_of(module: str) -> Iterator[Mutant]:
    """Yield every change to a module that changes what it does."""
    source = (ROOT / f"{module}.py").read_text(encoding="utf-8")
    before = source.splitlines()
    meaning = _meaning(source)
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")
        choices: tuple[dict[str, object], ...] = tuple(operator.arguments()) or ({},)
        for arguments in choices:
            for occurrence in range(source.count("\n") * 4):
                mutated = mutate_code(source, operator(**arguments), occurrence)
                if mutated is None:
                    break
                if _meaning(mutated) not in {meaning, None}:
                    after = mutated.splitlines()
                    line = next(n for n, (old, new) in enumerate(zip(before, after, strict=False)) if old != new)
                    yield Mutant(module, line + 1, before[line].strip(), after[line].strip(), mutated)


def _meaning(source: str) -> str | None:
    """Return the code without what never shows: annotations, keyword-only marks, a dataclass's house style.

    None where the change left no code at all.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.arguments):
            node.args, node.posonlyargs, node.kwonlyargs = [*node.posonlyargs, *node.args, *node.kwonlyargs], [], []
            node.defaults, node.kw_defaults = [*node.defaults, *(one for one in node.kw_defaults if one)], []
        elif isinstance(node, ast.ClassDef):
            node.decorator_list = []
    return ast.dump(tree)


def survives(mutant: Mutant, copy: Path) -> bool:
    """Tell whether the tests pass with the change made in a copy of the source."""
    path = copy / f"{mutant.module}.py"
    original = path.read_text(encoding="utf-8")
    path.write_text(mutant.source, encoding="utf-8")
    try:
        return _passes(copy, TESTS[mutant.module])
    finally:
        path.write_text(original, encoding="utf-8")


def _passes(copy: Path, tests: tuple[str, ...]) -> bool:
    """Run tests in a process of their own, forked from this one, which has the slow imports behind it."""
    process = multiprocessing.get_context("fork").Process(target=_run, args=(copy, tests))
    process.start()
    process.join(PATIENCE_S)
    if process.is_alive():  # a change that made something wait for ever was noticed
        process.kill()
        process.join()
    return process.exitcode == 0


def _run(copy: Path, tests: tuple[str, ...]) -> None:
    sys.dont_write_bytecode = True
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.chdir(copy)
    sys.path[:] = [str(copy), *(one for one in sys.path if Path(one or ".").resolve() != ROOT)]
    # one failure is enough; what runs in other processes or needs Node is left to `make test`
    options = ("-x", "-q", "-p", "pytest_timeout", "-p", "no:cacheprovider", "-m", "not node", "--timeout=30")
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        code = pytest.main([*options, *tests])
    os._exit(int(code))


def copies(folder: Path, count: int) -> Queue[Path]:
    """Return copies of the source to make changes in."""
    made: Queue[Path] = Queue()
    unneeded = shutil.ignore_patterns(".git", ".venv", "node_modules", "vendor", ".local", "__pycache__", ".*_cache")
    for number in range(count):
        made.put(Path(shutil.copytree(ROOT, folder / str(number), ignore=unneeded)))
    return made


def survivors(module: str, free: Queue[Path], jobs: int) -> tuple[int, list[Mutant]]:
    """Return how many changes were made to a module, and those that nobody noticed."""
    mutants = list(mutants_of(module))

    def judged(mutant: Mutant) -> bool:
        copy = free.get()
        try:
            return survives(mutant, copy)
        finally:
            free.put(copy)

    with ThreadPool(jobs) as pool:
        return len(mutants), [one for one, alive in zip(mutants, pool.map(judged, mutants, 1), strict=True) if alive]


def main() -> int:
    """Judge the modules asked for; tell the score and the survivors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TESTS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="changes judged at once")
    asked = parser.parse_args()
    reasons = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))
    unexplained = 0
    with tempfile.TemporaryDirectory() as folder:
        free = copies(Path(folder), asked.jobs)
        for module in asked.modules or TESTS:
            began_at = time.monotonic()
            if not _passes(free.queue[0], TESTS[module]):
                print(f"{module}: the tests fail without any change")
                return 1
            count, alive = survivors(module, free, asked.jobs)
            told = reasons.get(module, {})
            killed, spared = count - len(alive), sum(one.name in told for one in alive)
            seconds = time.monotonic() - began_at
            print(f"{module}: {killed} of {count} noticed, {spared} equivalent, in {seconds:.0f} s", flush=True)
            for one in alive:
                if one.name not in told:
                    unexplained += 1
                    print(f"  {module}.py:{one.line}\n    - {one.before}\n    + {one.after}", flush=True)
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
