"""The command line of `taskbell-operator simulate`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from taskbell.contract.crd_schema import seconds
from taskbell.operator.simulation import loads
from taskbell.operator.simulation.loads import LONGEST, Load, LoadNotUnderstood
from taskbell.operator.simulation.manifest import PoolNotUnderstood, only_backlog, read_pool
from taskbell.operator.simulation.model import Workers, simulate
from taskbell.operator.simulation.page import in_words, render

_SPAN = re.compile(r"\A(?=.{2,20}\Z)(\d+h)?(\d+m)?(\d+s)?\Z", re.ASCII)
_LARGEST_MANIFEST: Final = 2**20
_SHAPES: Final = ("constant", "ramp", "spike", "wave")
_EXAMPLES: Final = """\
examples:
  taskbell-operator simulate pool.yaml --pace 50 --load arrivals.csv
  taskbell-operator simulate pool.yaml --pace 50 --shape spike --rate 100 --peak 2000 --at 10m --for 5m --duration 1h
  kubectl get wpool taskbell-delivery -o yaml | taskbell-operator simulate - --pace 50 --shape wave --rate 20 --peak 800

A recording has the rows time,arrivals as CSV or as JSON objects, one on each line: seconds or RFC 3339 instants, and
the number of messages that arrived since the row before.
"""


def main(arguments: Sequence[str]) -> None:
    """Simulate, print the summary, write the picture. Exit status 2 and one line if something is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.load is None and given.rate is None:
        parser.error("give --load FILE, or --shape with --rate")
    if given.load is not None and given.rate is not None:
        parser.error("--load and --rate exclude each other")
    try:
        name, spec = read_pool(_text(given.pool), name=given.name)
        pool, signal, source = only_backlog(spec, given.signal)
        load = _load(given)
    except (PoolNotUnderstood, LoadNotUnderstood, OSError, UnicodeDecodeError) as wrong:
        parser.error(str(wrong))
    workers = Workers(
        pace=given.pace,
        start_up=given.start_up,
        in_flight=given.in_flight,
        max_ack_pending=given.max_ack_pending,
        interval=given.interval,
        first=max(pool.replicas.min, 1) if given.replicas is None else given.replicas,
    )
    run = simulate(pool, signal, source, load, workers, tell=_progress(len(load)))
    summary = run.summary(load)
    source_words = given.load or f"{given.shape}, seed {given.seed}"
    about = (
        f"Load: {source_words}. Each pod completes {given.pace:g} messages a second and starts within "
        f"{given.start_up} s. Signal: {signal}. Size: {pool.replicas.min} to {pool.replicas.max}."
    )
    page = render(f"WorkerPool {name}", about, load, run, summary, most=pool.replicas.max)
    try:
        Path(given.html).write_text(page, encoding="utf-8")
    except OSError as refused:
        parser.error(f"the picture was not written: {refused}")
    if given.json:
        sys.stdout.write(orjson.dumps(summary).decode() + "\n")
    else:
        sys.stdout.write(
            "".join(f"{what}: {value}\n" for what, value in in_words(summary)) + f"picture: {given.html}\n"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="taskbell-operator simulate",
        description="Run a load through the decisions of a WorkerPool, without a cluster, and draw what happens.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("pool", help="file with the WorkerPool's manifest, YAML or JSON; - for standard input")
    add("--name", default="", help="which WorkerPool of the file")
    add("--signal", default="", help="which jetStream signal of the pool gets the load")
    pods = parser.add_argument_group("pods")
    pods.add_argument("--pace", type=_number(0.001, 1e6), required=True, help="messages that a pod completes a second")
    pods.add_argument("--start-up", type=_span(0, 3600), default=20, help="time until an added pod works (20s)")
    pods.add_argument("--in-flight", type=_whole(1, 100_000), default=64, help="messages that a pod holds at once (64)")
    pods.add_argument("--max-ack-pending", type=_whole(0, 10**7), default=0, help="the consumer's limit; 0: none")
    pods.add_argument("--replicas", type=_whole(0, 1000), help="pods at the beginning (replicas.min, at least 1)")
    pods.add_argument("--interval", type=_span(1, 3600), default=15, help="time between two decisions (15s)")
    load = parser.add_argument_group("load")
    load.add_argument("--load", metavar="FILE", help="a recording of arrivals; - for standard input")
    load.add_argument("--shape", choices=_SHAPES, default="constant", help="form of a load that is made (constant)")
    load.add_argument("--rate", type=_number(0, 1e6), help="messages a second; of a wave the least")
    load.add_argument("--peak", type=_number(0, 1e6), help="of a ramp the last, of a spike or wave the greatest (rate)")
    load.add_argument("--duration", type=_span(1, LONGEST), default=3600, help="length of the load (1h)")
    load.add_argument("--at", type=_span(0, LONGEST), default=600, help="when a spike begins (10m)")
    load.add_argument("--for", type=_span(1, LONGEST), default=300, dest="lasts", help="how long it lasts (5m)")
    load.add_argument("--period", type=_span(1, LONGEST), default=86_400, help="length of one wave (24h)")
    load.add_argument("--seed", type=_whole(0, 2**32), default=1, help="of the chance in a load that is made (1)")
    load.add_argument("--even", action="store_true", help="no chance: messages arrive evenly")
    add("--html", metavar="FILE", default="simulation.html", help="where the picture goes (simulation.html)")
    add("--json", action="store_true", help="print the summary as one JSON object")
    return parser


def _load(given: argparse.Namespace) -> Load:
    """The load that the arguments ask for. Raises `LoadNotUnderstood` and `OSError`."""
    if given.load == "-":
        return loads.recorded(sys.stdin)
    if given.load is not None:
        with Path(given.load).open(encoding="utf-8") as lines:
            return loads.recorded(lines)
    peak = given.rate if given.peak is None else given.peak
    if given.shape == "ramp":
        load = loads.ramp(given.rate, peak, given.duration)
    elif given.shape == "spike":
        load = loads.spike(given.rate, peak, given.duration, begins=given.at, lasts=given.lasts)
    elif given.shape == "wave":
        load = loads.wave(given.rate, peak, given.duration, period=given.period)
    else:
        load = loads.constant(given.rate, given.duration)
    return load if given.even else loads.by_chance(load, given.seed)


def _text(path: str) -> str:
    """A manifest. Raises `PoolNotUnderstood` and `OSError`."""
    if path == "-":
        text = sys.stdin.read(_LARGEST_MANIFEST + 1)
    else:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(_LARGEST_MANIFEST + 1)
    if len(text) > _LARGEST_MANIFEST:
        raise PoolNotUnderstood("the manifest is larger than 1 MiB")
    return text


def _progress(whole: int) -> Callable[[int], None]:
    """Draw a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda _: None

    def tell(done: int) -> None:
        share = min(1.0, (done + 3600) / whole)
        sys.stderr.write(f"\r[{'#' * round(share * 40):<40}] {share:4.0%}" + ("\n" if share == 1 else ""))
        sys.stderr.flush()

    return tell


def _span(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        found = seconds(text) if _SPAN.match(text) else -1
        if not least <= found <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s or 1h30m from {least}s to {most}s")
        return found

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    return _limited(int, "a whole number", least, most)


def _number(least: float, most: float) -> Callable[[str], float]:
    return _limited(float, "a number", least, most)


def _limited(kind: Callable[[str], Any], words: str, least: float, most: float) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            found = kind(text)
        except ValueError:
            found = None
        if found is None or not least <= found <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not {words} from {least:g} to {most:g}")
        return found

    return read
