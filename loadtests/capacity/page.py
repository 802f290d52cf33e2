"""The report as one HTML page: nothing is loaded from elsewhere, no script runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from capacity import plots
from capacity.report import PASSED

Report = dict[str, Any]
_NONE = "\N{EN DASH}"
_STYLE = Path(__file__).with_name("style.css")
_VERDICTS = {
    "passed": "passed",
    "not_conserved": "not conserved",
    "below_minimum": "below the minimum",
    "interrupted": "interrupted",
    "failed": "did not come to its end",
}


def render(report: Report) -> str:
    """Write the page of a report, as `report.document` made it."""
    parts = [
        _head(report),
        _tiles(report),
        _section("What arrived", _arrivals(report)),
        _section("What broke, and when", _plots(report)),
        _section("Step by step", _steps(report)),
        _section("What was asked of it", _conditions(report)),
        _foot(report["surroundings"]),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>Taskbell capacity: {escape(_VERDICTS[report['verdict']])}</title>\n"
        f"<style>\n{_STYLE.read_text()}</style>\n</head>\n<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}</section>\n"


def _tone(*, good: bool) -> str:
    return "good" if good else "bad"


def _head(report: Report) -> str:
    badge = f'<span class="badge {_tone(good=report["verdict"] == PASSED)}">{_VERDICTS[report["verdict"]]}</span>'
    return f"<header><h1>Capacity check</h1>{badge}</header>\n<p>{escape(report['summary'])}</p>\n"


def _tiles(report: Report) -> str:
    held = max((s for s in report["steps"] if not s["broken"]), key=lambda s: s["users"], default=None)
    broke = report["steps"][-1] if report["breaking_step"] is not None else None
    found = report["conservation"]
    counted = (_NONE, "nothing could be counted")
    if found is not None:
        counted = (f"{found['lost']:,} / {found['double']:,}", f"of {found['created']:,} created tasks")
    tiles = [
        (
            "Users held",
            f"{report['held_users']:,}",
            "" if held is None else f"{held['listeners']:,} listen by WebSocket",
        ),
        ("Requests a second, held", _NONE if held is None else f"{held['rps']:,.0f}", _held_note(held)),
        (
            "Broke at",
            _NONE if broke is None else f"{broke['users']:,} users",
            "no limit broke twice" if broke is None else f"step {broke['number']}{_limit_note(report)}",
        ),
        ("Lost / double", *counted),
    ]
    body = "".join(
        f'<div class="card"><span>{escape(name)}</span><b>{escape(value)}</b><span>{escape(note)}</span></div>\n'
        for name, value, note in tiles
    )
    return f'<div class="tiles">\n{body}</div>\n'


def _held_note(held: Report | None) -> str:
    if held is None:
        return "no step held"
    latency = held["event_latency"]["p99_ms"]
    return f"events p99 {_ms(latency)} ms to the frame"


def _limit_note(report: Report) -> str:
    if report["saturated"]:
        return "; the generator was at its limit"
    if report["disturbed"]:
        processor = report["steps"][-1]["processor"]
        return f"; others used {processor['others']:.1f} of {processor['cores']} cores"
    return "; the platform was the limit"


def _arrivals(report: Report) -> str:
    failed = [f"{number:,} {reason}" for reason, number in report["failures"].items()]
    note = f"Failed requests in all, also between steps: {', '.join(failed) or 'none'}."
    if report["conservation"] is None:
        return f'<div class="card"><p>Nothing could be counted: {escape(report["ended_by"])}.</p></div>\n'
    return _conservation(report["conservation"], report["surroundings"], note=note)


def _conservation(found: Report, surroundings: Report, *, note: str) -> str:
    rows = [
        [
            ("", escape(place["name"])),
            ("", f"{place['expected']:,}"),
            ("", f"{place['found']:,}"),
            ("over" if place["lost"] else "", f"{place['lost']:,}"),
            ("over" if place["double"] else "", f"{place['double']:,}"),
            ("text", escape("; ".join(place["examples"])) or _NONE),
        ]
        for place in found["places"]
    ]
    names = {"events": "in the feeds", "frames": "at every listener", "notifications": "notified"}
    created = found["created"]
    chain = f"{created:,} created"
    for name, where in names.items():
        number = found[name]
        chain += " ? not known" if number is None else f" {_sign(created, number)} {number:,}"
        chain += f" {where}"
    said = (
        f"{found['uncertain']:,} creations had no answer of 201 (they failed, or their client was stopped"
        " meanwhile); whether they exist or not, they were followed."
        f" {surroundings['listeners']:,} listeners, {surroundings['reconnects']:,} reconnects,"
        f" {surroundings['gaps']:,} told that they missed events. {note}"
    )
    head = _row(["Place", "Expected", "Found", "Lost", "Double", "For example"], cell="th", texts=(5,))
    return f'<div class="card"><p>{escape(chain)}.</p>\n{_table(head, rows, caption=said)}</div>\n'


def _sign(one: int, other: int) -> str:
    return "=" if one == other else "\N{NOT EQUAL TO}"


def _plots(report: Report) -> str:
    drawn = [
        (
            "Answers: p99 by kind of request",
            plots.answers(report),
            "A red band marks a step that exceeded a limit, ↻ its second attempt: what breaks twice ends the load.",
        ),
        ("Events: from the row to the frame", plots.events(report), "Measured at the listeners, over all of them."),
        ("Requests a second", plots.throughput(report), "Where it stops growing with the users, they queue."),
        (
            "Processor cores in use",
            plots.processor(report),
            "Others are programs that have nothing to do with this run; they make its figures worse.",
        ),
    ]
    cards = "".join(
        f'<div class="card"><h3>{escape(title)}</h3>\n{svg}\n<p class="muted">{escape(note)}</p></div>\n'
        for title, svg, note in drawn
    )
    return f'<div class="plots">\n{cards}</div>\n'


def _steps(report: Report) -> str:
    kinds = list(report["kinds"])
    classes = ["broken" if step["broken"] else "" for step in report["steps"]]
    names = ["Step", "Users", "Req/s", *kinds, "event to frame", "Errors", "Platform", "Generator", "What broke"]
    brief = _table(
        _row(names, cell="th", texts=(len(names) - 1,)),
        [_brief_cells(step, report) for step in report["steps"]],
        caption="p99 in milliseconds; processor time in cores. Users that come twice: the second attempt of a step.",
        classes=classes,
    )
    groups = [("", 2), *((kind, 3) for kind in kinds), ("event to frame", 3)]
    top = "".join(f'<th class="group" colspan="{span}">{escape(name)}</th>' for name, span in groups)
    names = ["Step", "Users", *["p50", "p95", "p99"] * (len(kinds) + 1)]
    full = _table(
        f"<tr>{top}</tr>{_row(names, cell='th')}",
        [_full_cells(step, report) for step in report["steps"]],
        caption="Milliseconds.",
        classes=classes,
    )
    return f'<div class="card">{brief}<details><summary>All percentiles</summary>{full}</details></div>\n'


def _brief_cells(step: Report, report: Report) -> list[tuple[str, str]]:
    cells = [("", f"{step['number']}"), ("", f"{step['users']:,}"), ("", f"{step['rps']:,.0f}")]
    cells += [_p99_cell(figures, limit) for figures, limit in _measured(step, report)]
    failed = step["error_share"] > report["plan"]["limits"]["error_share"]
    processor = step["processor"]
    cores = [_NONE, _NONE] if processor is None else [f"{processor[name]:.2f}" for name in ("platform", "generator")]
    cells.append(("over" if failed else "", f"{step['errors']:,}"))
    what = ", ".join(sentence.partition(":")[0] for sentence in step["broken"])
    return [*cells, *(("", text) for text in cores), ("text", escape(what) or _NONE)]


def _full_cells(step: Report, report: Report) -> list[tuple[str, str]]:
    cells = [("", f"{step['number']}"), ("", f"{step['users']:,}")]
    for figures, limit in _measured(step, report):
        cells += [("", _ms(figures["p50_ms"])), ("", _ms(figures["p95_ms"])), _p99_cell(figures, limit)]
    return cells


def _measured(step: Report, report: Report) -> list[tuple[Report, float]]:
    limits = report["plan"]["limits"]
    kinds = [(step["kinds"][kind], limits["p99_ms"][kind]) for kind in report["kinds"]]
    return [*kinds, (step["event_latency"], limits["event_p99_ms"])]


def _p99_cell(figures: Report, limit: float) -> tuple[str, str]:
    p99 = figures["p99_ms"]
    return "over" if p99 is not None and p99 > limit else "", _ms(p99)


def _ms(value: float | None) -> str:
    if value is None:
        return _NONE
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _conditions(report: Report) -> str:
    plan = report["plan"]
    limits = plan["limits"]
    kinds = [
        [("", escape(kind)), ("", _ms(limits["p99_ms"][kind])), ("text", escape(meaning))]
        for kind, meaning in report["kinds"].items()
    ]
    kinds.append([("", "event"), ("", _ms(limits["event_p99_ms"])), ("text", "from its row to its frame")])
    kinds.append([("", "errors"), ("", f"{limits['error_share']:.2%}"), ("text", "of all requests; not milliseconds")])
    listeners = plan["listener_share"]
    mix = [[("", "listeners"), ("", f"{listeners:.0%}")]]
    whole = sum(report["mix"].values())
    mix += [
        [("", escape(name)), ("", f"{share / whole * (1 - listeners):.0%}")] for name, share in report["mix"].items()
    ]
    last = report["steps"][-1]["processor"] if report["steps"] else None
    parts = [] if last is None else [[("", escape(n)), ("", f"{used:.2f}")] for n, used in last["by_part"].items()]
    cards = [
        ("Limits", _table(_row(["Kind", "p99 ms", "Meaning"], cell="th", texts=(2,)), kinds)),
        ("Who the users are", _table(_row(["Users", "Share"], cell="th"), mix, caption=_team_note(plan))),
        ("Processor by part, last step", _table(_row(["Part", "Cores"], cell="th"), parts)),
    ]
    body = "".join(f'<div class="card"><h3>{escape(title)}</h3>\n{table}</div>\n' for title, table in cards)
    return f'<div class="columns">\n{body}</div>\n'


def _team_note(plan: Report) -> str:
    return (
        f"{plan['teams']:,} workspaces of two people, each with one more listener from the beginning."
        f" Each step has {plan['growth']:g} times the users of the one before, and {plan['hold_seconds']:g} s of it are"
        " measured."
    )


def _table(
    head: str, rows: Iterable[Sequence[tuple[str, str]]], *, caption: str = "", classes: Sequence[str] = ()
) -> str:
    """A table that scrolls by itself; each cell is a class and its HTML."""
    lines = []
    for number, row in enumerate(rows):
        cells = "".join(f'<td class="{kind}">{text}</td>' if kind else f"<td>{text}</td>" for kind, text in row)
        kind = classes[number] if number < len(classes) else ""
        lines.append(f'<tr class="{kind}">{cells}</tr>\n' if kind else f"<tr>{cells}</tr>\n")
    said = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    table = f"<table><thead>{head}</thead>\n<tbody>\n{''.join(lines)}</tbody></table>"
    return f'<figure><div class="scroll">{table}</div>{said}</figure>\n'


def _row(names: Iterable[str], *, cell: str, texts: Sequence[int] = ()) -> str:
    cells = (
        f'<{cell} class="text">{escape(name)}</{cell}>' if place in texts else f"<{cell}>{escape(name)}</{cell}>"
        for place, name in enumerate(names)
    )
    return f"<tr>{''.join(cells)}</tr>\n"


def _foot(surroundings: Report) -> str:
    said = (
        f"{surroundings['at']} · {surroundings['machine']} · Python {surroundings['python']}"
        f" · the whole run took {surroundings['seconds']:,.0f} s · platform, generator and listeners shared the machine"
    )
    return f"<footer>{escape(said)}</footer>\n"
