"""What `?format=prometheus` answers, as numbers."""
# SPDX-License-Identifier: Apache-2.0

import re

STATUS = "/clickstream-status"
STATUS_LOCATION = f'<Location "{STATUS}">\nSetHandler clickstream-status\n</Location>\n'

SAMPLE = re.compile(r"(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)",?')


def scrape(httpd):
    """The text, as Prometheus gets it."""
    answer = httpd.request("GET", f"{STATUS}?format=prometheus", headers={})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return answer.text


class Metrics:
    """The samples of one stream."""

    def __init__(self, text, stream):
        self.samples = {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            sample = SAMPLE.fullmatch(line)
            labels = dict(LABEL.findall(sample["labels"] or ""))
            if labels.pop("stream", None) == stream:
                self.samples[sample["name"], *sorted(labels.items())] = float(sample["value"])

    def number(self, name, **labels):
        return self.samples[f"clickstream_{name}", *sorted(labels.items())]

    def by(self, label, name):
        """Every sample of that name, by the value of its label."""
        return {dict(rest)[label]: value for (sample, *rest), value in self.samples.items()
                if sample == f"clickstream_{name}"}


def metrics_of(httpd, stream="clicks"):
    return Metrics(scrape(httpd), stream)


def exported(text):
    """The names of the metrics, as their TYPE lines say."""
    return set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
