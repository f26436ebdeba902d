"""What Prometheus and Grafana get: the metrics as promtool reads them, the rules, and the dashboard over them."""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import re
import shutil
import subprocess

import pytest
from exposition import STATUS_LOCATION, exported, metrics_of, scrape
from load import event
from server import FILE_STREAM, TOP, Httpd, firehose_stream, wait_for

HTTPD_CONF = TOP / "httpd-conf"
RULES = HTTPD_CONF / "prometheus-rules.yml"
RULES_TEST = HTTPD_CONF / "prometheus-rules-test.yml"
DASHBOARD = HTTPD_CONF / "grafana-dashboard.json"
NAME = re.compile(r"\bclickstream_\w+")


def names_in(text, known):
    """The metrics that a text names; of a histogram its series are named."""
    return {name if name in known else re.sub(r"_(?:bucket|sum|count)$", "", name) for name in NAME.findall(text)}


@pytest.fixture(scope="module")
def promtool():
    """Runs it: its exit code, and all that it said."""
    ours = TOP / "tests/tools/promtool"
    program = str(ours) if ours.exists() else shutil.which("promtool")
    if not program:
        why = "promtool is neither in tests/tools/ nor on the PATH; where there is apt, ./bootstrap gets it"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)

    def run(*arguments, text=None):
        done = subprocess.run([program, *map(str, arguments)], input=text, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        return done.returncode, done.stdout
    return run


# --- the metrics ---

@pytest.fixture(scope="module")
def answer():
    """What an httpd answers that has one stream of each kind."""
    stream = 'ClickstreamStream paid firehose region=us-east-1 endpoint=http://127.0.0.1:9/ queue=1M\n' + FILE_STREAM
    with Httpd(stream + "\n" + STATUS_LOCATION, "ClickstreamDeliverTo clicks") as httpd:
        return scrape(httpd)


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_promtool_has_nothing_to_say_of_the_metrics(promtool, fake, keys, mpm):
    """With streams of each kind, after deliveries, failures and refusals."""
    streams = "\n".join([firehose_stream(fake), firehose_stream(fake, "queue=1M", name="nothing.came-yet"),
                         FILE_STREAM.replace("clicks", "taps")])
    taps = '</Location>\n<Location "/taps/">\nSetHandler clickstream\nClickstreamDeliverTo taps'
    fake.faults([{"kind": "throttle", "count": 2}])
    with Httpd(f"{streams}\n{STATUS_LOCATION}", f"ClickstreamDeliverTo clicks\n{taps}", mpm=mpm,
               environment=keys) as httpd:
        httpd.expected_errors = ["delivery has failed"]
        for path in ("/poc-kstream/", "/taps/"):
            assert httpd.post(f"[{event(1)},{event(2)}]", path=path).status == 200
            assert httpd.post("{}", path=path).status == 400
        for stream in ("clicks", "taps"):
            wait_for(lambda stream=stream: metrics_of(httpd, stream).number("events_delivered_total") == 2,
                     what="the deliveries")
        assert promtool("check", "metrics", text=scrape(httpd)) == (0, "")


def test_promtool_has_nothing_to_say_where_there_is_no_stream(promtool):
    httpd = Httpd()
    httpd.write_configuration('LoadModule clickstream_module "{module}"\n' + STATUS_LOCATION)
    with httpd:
        text = scrape(httpd)
        assert "clickstream_build_info" in text
        assert promtool("check", "metrics", text=text) == (0, "")


def test_promtool_would_find_what_is_wrong(promtool):
    assert promtool("check", "metrics", text="# TYPE a_seconds counter\na_seconds 1\n")[0] != 0


def test_each_metric_is_documented_and_each_documented_one_is_there(answer):
    documented = names_in((HTTPD_CONF / "DIRECTIVES.md").read_text(), exported(answer)) - {"clickstream_module"}
    assert documented == exported(answer)


# --- the rules ---

def test_the_rules_are_right(promtool):
    code, said = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert code == 0, said


def test_each_alert_fires_when_it_should_and_only_then(promtool):
    code, said = promtool("test", "rules", RULES_TEST)
    assert code == 0, said
    text = RULES_TEST.read_text()
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    assert len(alerts) > 10
    for alert in alerts:
        assert re.search(rf"alertname: {alert}\n +eval_time: \w+\n +exp_alerts:\n +- exp_labels", text), alert
        assert re.search(rf"alertname: {alert}, eval_time: \w+}}", text), f"{alert}: never shown not to fire"


@pytest.mark.parametrize("old, new", [
    ("> 0.5\n", "> 0.6\n"), ("> 0.5\n", "> 0.4\n"), (" and clickstream_billed_bytes_total", "")])
def test_a_rule_that_is_broken_is_found(promtool, tmp_path, old, new):
    text = RULES.read_text()
    assert old in text
    (tmp_path / RULES.name).write_text(text.replace(old, new))
    shutil.copy(RULES_TEST, tmp_path)
    assert promtool("test", "rules", tmp_path / RULES_TEST.name)[0] != 0


# --- the dashboard ---

@pytest.fixture(scope="module")
def dashboard():
    return json.loads(DASHBOARD.read_text())


def expressions(dashboard):
    """Each panel's, with values where Grafana puts its own."""
    values = {"$__rate_interval": "5m", "$instance": ".+", "$stream": ".+"}
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    for variable, value in values.items():
        found = [expression.replace(variable, value) for expression in found]
    return found


def test_the_dashboards_expressions_are_right(promtool, dashboard, tmp_path):
    """As rules, since promtool checks an expression nowhere else without a server."""
    found = expressions(dashboard)
    assert len(found) > 20 and not any("$" in expression for expression in found)
    rules = [f"  - {{record: 'panel:{number}', expr: {json.dumps(expression)}}}"
             for number, expression in enumerate(found)]
    path = tmp_path / "rules.yml"
    path.write_text("groups:\n- name: dashboard\n  rules:\n" + "\n".join(rules) + "\n")
    code, said = promtool("check", "rules", path)
    assert code == 0 and f"{len(found)} rules found" in said, said


def test_the_dashboards_panels_have_their_places(dashboard):
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["description"]


def test_what_rules_and_dashboard_name_is_there(answer, dashboard):
    known = exported(answer)
    assert "clickstream_events_accepted_total" in known
    variables = [variable["query"]["query"] for variable in dashboard["templating"]["list"] if "definition" in variable]
    for text in (RULES.read_text(), RULES_TEST.read_text(), "\n".join(expressions(dashboard) + variables)):
        used = names_in(text, known)
        assert used and used <= known, used - known


def test_the_dashboard_shows_every_metric(answer, dashboard):
    assert names_in("\n".join(expressions(dashboard)), exported(answer)) == exported(answer)
