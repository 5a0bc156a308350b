"""Dashboard, alerts and Prometheus' configuration, against the code and by their own tools."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.observing import (
    DASHBOARD,
    DEPLOY,
    PROMETHEUS,
    alerts,
    dashboard_queries,
    exported,
    names_in,
    require_tool,
)

RUNBOOKS = DEPLOY.parent / "docs" / "operations.md"
RULE_TESTS = sorted(PROMETHEUS.glob("*.test.yml"))


def promtool(*arguments: str | Path) -> None:
    command = [require_tool("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_panel_asks_for_what_the_code_exports() -> None:
    there = exported()
    asked = list(dashboard_queries())
    assert len(asked) > 30
    for title, query in asked:
        names = names_in(query)
        assert names, title
        assert names <= there, f"{title}: {sorted(names - there)}"


def test_every_alert_asks_for_what_the_code_exports() -> None:
    there = exported()
    for alert in alerts():
        names = names_in(alert["expr"])
        assert names, alert["alert"]
        assert names <= there, f"{alert['alert']}: {sorted(names - there)}"


def test_a_name_that_nobody_exports_is_found() -> None:
    assert names_in('sum(rate(neuroscan_no_such_total{queue="up"}[5m]))') == {
        "neuroscan_no_such_total"
    }
    assert "neuroscan_no_such_total" not in exported()


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_says_how_bad_it_is_and_what_to_do(alert: dict[str, dict[str, str]]) -> None:
    name = str(alert["alert"])
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert alert["annotations"]["summary"]
    sentence, _, place = alert["annotations"]["runbook"].rpartition(" ")
    assert sentence.endswith(".")
    assert place == f"docs/operations.md#{name.lower()}"
    headings = re.findall(r"^#+ (.+)$", RUNBOOKS.read_text(), re.MULTILINE)
    assert name in headings, f"docs/operations.md has no heading {name}"


def test_every_alert_is_seen_to_fire_in_a_test_of_the_rules() -> None:
    seen = {
        name
        for file in RULE_TESTS
        for group in yaml.safe_load(file.read_text())["tests"]
        for check in group["promql_expr_test"]
        for sample in check["exp_samples"]
        for name in re.findall(r'alertname="(\w+)"', sample["labels"])
    }
    assert seen == {alert["alert"] for alert in alerts()}


def test_prometheus_takes_its_configuration() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")


@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda file: file.name)
def test_the_alerts_fire_when_they_should_and_only_then(file: Path) -> None:
    promtool("test", "rules", file)


def test_a_rule_that_does_not_fire_fails_its_test(tmp_path: Path) -> None:
    for file in PROMETHEUS.glob("*.yml"):
        (tmp_path / file.name).write_text(file.read_text())
    rules = tmp_path / "alerts.yml"
    changed = rules.read_text().replace(
        "max(neuroscan_ledger_up) == 0", "max(neuroscan_ledger_up) > 2"
    )
    assert changed != rules.read_text()
    rules.write_text(changed)
    with pytest.raises(AssertionError, match="DatabaseAway"):
        promtool("test", "rules", tmp_path / "alerts.test.yml")


def test_the_dashboard_is_one_that_grafana_can_provision() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["uid"]
    assert dashboard["schemaVersion"] >= 36
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    provisioning = DEPLOY / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())
    known = {source["uid"] for source in sources["datasources"]}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert 0 < place["w"] <= 24 - place["x"]
        if panel["type"] == "row":
            continue
        assert panel["datasource"]["uid"] in known
        assert {target["datasource"]["uid"] for target in panel["targets"]} <= known
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))
