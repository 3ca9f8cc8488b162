"""Gauges that cost nothing until they are read: when Prometheus asks, they ask whatever is there at that moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakMethod

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class LiveGauge(Collector):
    """The sum of what objects say, for as long as they live.

    Args:
        name: Of the metric.
        says: What it is.
        label: What distinguishes the objects, if anything does.
    """

    def __init__(self, name: str, says: str, label: str | None = None) -> None:
        self._name, self._says = name, says
        self._labels = [] if label is None else [label]
        self._asked: list[tuple[str, WeakMethod[Callable[[], float]]]] = []
        REGISTRY.register(self)

    def ask(self, method: Callable[[], Any], value: str = "") -> None:
        """From now on ask this method, too, under a value of the label; its object is not kept alive by that."""
        self._asked = [(known, ref) for known, ref in self._asked if ref() is not None]
        self._asked.append((value, WeakMethod(method)))

    def describe(self) -> Iterable[Metric]:
        """What there is, without asking for it."""
        return [GaugeMetricFamily(self._name, self._says, labels=self._labels)]

    def collect(self) -> Iterable[Metric]:
        """What they say now."""
        sums: dict[str, float] = {}
        for value, ref in self._asked:
            if (method := ref()) is not None:
                sums[value] = sums.get(value, 0) + method()
        family = GaugeMetricFamily(self._name, self._says, labels=self._labels)
        for value, total in sums.items():
            family.add_metric([value] if self._labels else [], total)
        return [family]
