"""Alerts: their metrics, their runbooks, and promtool's verdict on each."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = ROOT / "charts" / "taskbell" / "files"
RULES = [rule for group in yaml.safe_load((FILES / "rules.yaml").read_text())["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="Prometheus is not installed (Debian: apt-get install prometheus)",
)


def test_rules_ask_for_metrics_that_are_documented():
    """Every metric of a rule is in docs/reference/metrics.md, or is Prometheus' own."""
    known = set(re.findall(r"`(taskbell_\w+)`", (ROOT / "docs" / "reference" / "metrics.md").read_text()))
    for query in [rule["expr"] for rule in RULES]:
        for name in re.findall(r"\btaskbell_\w+", query):
            assert {name, re.sub(r"_(bucket|count|sum)$", "", name)} & known, name


def test_the_release_brings_the_rules_with_its_runbooks(chart):
    """The runbook links of the alerts use the address from the values."""
    rendered = chart.render({"monitoring": {"rules": {"enabled": True}}})
    (rules,) = rendered.of("PrometheusRule").values()
    urls = [
        rule["annotations"]["runbook_url"]
        for group in rules["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert len(urls) == len(ALERTS)
    assert all(url.startswith("https://") for url in urls)


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_a_runbook(name):
    """The page that an alert links names it and says what it means, what to look at and what to do."""
    page = (ROOT / "docs" / "runbooks" / _runbook(ALERTS[name])).read_text()
    assert name in page
    for title in ("## What it means", "## What to look at", "## What to do"):
        assert title in page, title
    assert ALERTS[name]["labels"]["severity"] in {"critical", "warning"}


def test_every_runbook_has_an_alert():
    """An alert links each runbook."""
    pages = {path.name for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages == {_runbook(alert) for alert in ALERTS.values()}


def _runbook(alert):
    """The file that an alert links."""
    return alert["annotations"]["runbook_url"].removeprefix("$RUNBOOKS/")


REQUESTS = 'taskbell_api_request_duration_seconds_count{namespace="tasks", status="%s"}'
LEASE = 'taskbell_relay_lease_held{namespace="tasks", pod="%s"}'
OVERDUE = 'taskbell_relay_reminders_%s{namespace="tasks", pod="a"}'
LATENESS = 'taskbell_relay_reminders_lateness_seconds_bucket{namespace="tasks", le="%s"}'
USABLE = 'taskbell_api_replica_usable_ratio{namespace="tasks", replica="replica:5432", pod="%s"}'
UP = 'up{platform="taskbell", component="gateway", namespace="tasks", pod="gateway-1"}'
OLDEST = 'taskbell_delivery_oldest_due_seconds{namespace="tasks", channel="%s"}'
GIVEN_UP = 'taskbell_delivery_given_up_total{namespace="tasks", channel="%s", reason="%s"}'
ATTEMPTED = 'taskbell_delivery_attempts_total{namespace="tasks", channel="%s", state="any"}'
LATENCY = 'taskbell_gateway_delivery_latency_seconds_bucket{namespace="tasks", le="%s"}'


def _failing(share):
    """Requests of which a share fails: the increase per minute."""
    return [(REQUESTS % "200", f"0+{1000 - share}x6000"), (REQUESTS % "503", f"0+{share}x6000")]


CASES = {
    "TaskbellApiErrorsFast": ("90m", _failing(50), _failing(1)),
    "TaskbellApiErrorsSlow": ("7h", _failing(10), _failing(1)),
    "TaskbellApiErrorsCreeping": ("30h", _failing(5), _failing(1)),
    "TaskbellApiErrorsLingering": ("80h", _failing(2), [(REQUESTS % "200", "0+1000x6000")]),
    "TaskbellRelayStalled": (
        "5m",
        [('taskbell_relay_lag_seconds{namespace="tasks"}', "0+30x10")],
        [('taskbell_relay_lag_seconds{namespace="tasks"}', "1x10")],
    ),
    "TaskbellRelayWithoutLeader": (
        "5m",
        [(LEASE % "a", "0x10")],
        [(LEASE % "a", "0x10"), (LEASE % "b", "1x10")],
    ),
    "TaskbellStreamRebuilt": (
        "10m",
        [('taskbell_relay_rebuilds_total{namespace="tasks", reason="lost"}', "0 0 0 1x20")],
        [('taskbell_relay_rebuilds_total{namespace="tasks", reason="replay"}', "0 0 0 1x20")],
    ),
    "TaskbellEventsLate": (
        "15m",
        [(LATENCY % "1", "0+10x30"), (LATENCY % "10", "0+100x30"), (LATENCY % "+Inf", "0+100x30")],
        [(LATENCY % "1", "0+100x30"), (LATENCY % "10", "0+100x30"), (LATENCY % "+Inf", "0+100x30")],
    ),
    "TaskbellGatewaysGone": ("5m", [(UP, "0x10")], [(UP, "1x10")]),
    "TaskbellGatewayLost": ("5m", [(UP, "0x10")], [(UP, "1x10")]),
    "TaskbellGatewayBehind": (
        "5m",
        [('taskbell_gateway_reader_lag_events{namespace="tasks", pod="gateway-1"}', "5000x10")],
        [('taskbell_gateway_reader_lag_events{namespace="tasks", pod="gateway-1"}', "3x10")],
    ),
    "TaskbellReplicaUnused": (
        "10m",
        [(USABLE % "a", "1x20"), (USABLE % "b", "0x20")],
        # A restart of the replica.
        [(USABLE % "a", "1x20"), (USABLE % "b", "1x4 0x3 1x13")],
    ),
    "TaskbellOperatorWithoutLeader": (
        "10m",
        [('taskbell_operator_leader_ratio{namespace="tasks"}', "0x20")],
        [('taskbell_operator_leader_ratio{namespace="tasks"}', "1x20")],
    ),
    "TaskbellRemindersLate": (
        "5m",
        [(OVERDUE % "oldest_overdue_seconds", "0+60x10")],
        # After two hours without sweeps, everything due fires within a minute.
        [(OVERDUE % "oldest_overdue_seconds", "7200 2x10")],
    ),
    "TaskbellRemindersSlow": (
        "30m",
        [(LATENESS % "15", "0+1x40"), (LATENESS % "60", "0+10x40"), (LATENESS % "+Inf", "0+10x40")],
        # A backlog after an outage: late, and over in a minute.
        [(LATENESS % "15", "0+1x40"), (LATENESS % "60", "0x15 900+1x25"), (LATENESS % "+Inf", "0x15 900+1x25")],
    ),
    "TaskbellRemindersUnwatched": (
        "10m",
        [(LEASE % "a", "1x20"), (LEASE % "b", "0x20")],
        [(LEASE % "a", "1x20"), (OVERDUE % "overdue", "7x20")],
    ),
    "TaskbellDeliveriesLate": (
        "10m",
        [(OLDEST % "fcm", "0+60x20"), (OLDEST % "email", "2x20")],
        [(OLDEST % "fcm", "2x20"), (OLDEST % "email", "2x20")],
    ),
    "TaskbellAlertsRefused": (
        "30m",
        [(GIVEN_UP % ("apns", "refused"), "0+10x40"), (ATTEMPTED % "apns", "0+100x40")],
        [
            # One in a hundred is a wrong address; a device that is gone is normal; a webhook is not ours.
            (GIVEN_UP % ("apns", "refused"), "0+1x40"),
            (ATTEMPTED % "apns", "0+100x40"),
            (GIVEN_UP % ("fcm", "gone"), "0+50x40"),
            (GIVEN_UP % ("fcm", "refused"), "0x40"),
            (ATTEMPTED % "fcm", "0+50x40"),
            (GIVEN_UP % ("webhook", "refused"), "0+50x40"),
            (ATTEMPTED % "webhook", "0+50x40"),
        ],
    ),
    "TaskbellAlertsDead": (
        "30m",
        [(GIVEN_UP % ("slack", "expired"), "0x10 0+5x30")],
        [(GIVEN_UP % ("slack", "expired"), "0x10 1x30"), (GIVEN_UP % ("webhook", "expired"), "0x10 0+5x30")],
    ),
}
"""The evaluation time, the series for which the alert must fire, and those for which it must not."""
LONG = {"7h", "30h", "80h"}


@needs_prometheus
@pytest.mark.feature("K9")
def test_alerts_fire_when_they_must_and_only_then(tmp_path):
    """According to promtool, each alert fires for its fault and is silent for a healthy platform."""
    assert set(CASES) == set(ALERTS)
    shutil.copy(FILES / "rules.yaml", tmp_path / "rules.yaml")
    paths = []
    for step in ("1m", "10m"):  # days in steps of minutes would take most of a minute
        chosen = {name: case for name, case in CASES.items() if (case[0] in LONG) == (step == "10m")}
        document = {
            "rule_files": ["rules.yaml"],
            "evaluation_interval": step,
            # Otherwise the order is random: alerts would read records that are one step old, and stale after 5 minutes.
            "group_eval_order": ["taskbell-objectives", "taskbell-alerts"],
            "tests": list(_unit_tests(chosen, step)),
        }
        paths.append(f"{step}.yaml")
        (tmp_path / paths[-1]).write_text(yaml.safe_dump(document))
    done = subprocess.run(
        ["promtool", "test", "rules", *paths], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _unit_tests(cases, step):
    """For each alert a test that it fires and one that it is silent, as promtool reads them."""
    for name, (at, firing, silent) in cases.items():
        for fires, series in ((True, firing), (False, silent)):
            expected = [{"labels": "{}", "value": 1}] if fires else []
            alerts = f'count(ALERTS{{alertname="{name}", alertstate="firing"}})'
            yield {
                "interval": step,
                "input_series": [{"series": selector, "values": values} for selector, values in series],
                "promql_expr_test": [{"expr": alerts, "eval_time": at, "exp_samples": expected}],
            }
