"""Counting over prometheus_client, and the text a scraper reads. The names are in metrics_table.

Upstream's counters have no `_total` at their end, and prometheus_client insists on one: so counters are kept as its
gauges, which only ever grow here, and the page, written here too, gives them their right type.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import prometheus_client

from prow_async.adapters import metrics_table
from prow_async.adapters.metrics_table import Metric
from prow_async.api.errors import Bug

_Family: TypeAlias = prometheus_client.Gauge | prometheus_client.Histogram
_Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class PrometheusMetrics:
    """Implements ports/metrics. Each instance has a registry of its own.

    Every method raises KeyError for a name that is not in the table, ValueError for labels that are not the metric's.
    """

    def __init__(self) -> None:
        self._registry = prometheus_client.CollectorRegistry(auto_describe=False)
        self._families = {metric.name: self._family(metric) for metric in metrics_table.TABLE.values()}
        self._gauges: dict[_Key, prometheus_client.Gauge] = {}
        self._histograms: dict[_Key, prometheus_client.Histogram] = {}
        self._before_scrape: list[Callable[[], None]] = []
        self.gauge("prow_version", -1)
        prometheus_client.ProcessCollector(registry=self._registry)
        prometheus_client.PlatformCollector(registry=self._registry)

    def _family(self, metric: Metric) -> _Family:
        if metric.type == "histogram":
            return prometheus_client.Histogram(
                metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=self._registry
            )
        return prometheus_client.Gauge(metric.name, metric.help, metric.labels, registry=self._registry)

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        self._gauge(name, labels).inc(by)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        self._gauge(name, labels).set(value)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        key = name, tuple(labels.items())
        child = self._histograms.get(key)
        if child is None:
            family = self._families[name]
            if not isinstance(family, prometheus_client.Histogram):
                raise Bug(f"{name} is no histogram")
            child = self._histograms[key] = family.labels(**labels) if labels else family
        child.observe(value)

    def replace(self, name: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None:
        """Set a gauge to exactly these rows of (labels, value); what it had before is gone."""
        family = self._families[name]
        if not isinstance(family, prometheus_client.Gauge):
            raise Bug(f"{name} is no gauge")
        family.clear()
        self._gauges = {key: child for key, child in self._gauges.items() if key[0] != name}
        for labels, value in rows:
            family.labels(**labels).set(value)

    def _gauge(self, name: str, labels: dict[str, str]) -> prometheus_client.Gauge:
        key = name, tuple(labels.items())
        child = self._gauges.get(key)
        if child is None:
            family = self._families[name]
            if not isinstance(family, prometheus_client.Gauge):
                raise Bug(f"{name} is a histogram")
            child = self._gauges[key] = family.labels(**labels) if labels else family
        return child

    def before_scrape(self, update: Callable[[], None]) -> None:
        """Have a function called, on the event loop, each time before the page is rendered."""
        self._before_scrape.append(update)

    def refresh(self) -> None:
        """Call what `before_scrape` was given."""
        for update in self._before_scrape:
            update()

    def render(self) -> bytes:
        """Return the page. Takes milliseconds when there are many series: call it in a thread, after `refresh`."""
        lines: list[str] = []
        for family in self._registry.collect():
            metric = metrics_table.TABLE.get(family.name)
            type_ = metric.type if metric is not None else family.type
            name = family.name + "_total" if metric is None and type_ == "counter" else family.name
            lines.append(f"# HELP {name} {_escape(family.documentation)}\n# TYPE {name} {type_}\n")
            for sample in family.samples:
                if sample.name.endswith("_created") and sample.name != name:
                    continue
                labels = ",".join(f'{key}="{_escape(value, True)}"' for key, value in sample.labels.items())
                at = f"{{{labels}}}" if labels else ""
                lines.append(f"{sample.name}{at} {_number(sample.value)}\n")
        return "".join(lines).encode()


def _escape(text: str, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(float(value))
