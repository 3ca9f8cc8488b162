"""How many shards a shop of some size asks for, from what its documents take now. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from crm.database.sizes import Size
from crm.ops.sharding.keys import DECLARED

#: Orders a second for which MongoDB uses up one core: 0.37 ms of it for each (docs/performance.md, 32 connections).
ORDERS_PER_CORE: Final = 2_700
#: Of the disk and the processors; the rest is for growth, compaction, a member that catches up, and reads.
_DISK_FILLED: Final = 0.7
_PROCESSORS_BUSY: Final = 0.5
#: Of the documents, beside all indexes, that are in use: the customers and orders of the last weeks.
_WARM: Final = 0.1
_GB: Final = 10**9


@dataclass(frozen=True, slots=True)
class Machine:
    """One member of a shard; each shard has three alike.

    Attributes:
        disk_gb: For MongoDB's data.
        cache_gb: For WiredTiger's cache: by default half of the memory, less one GB.
        cores: Processors.
    """

    disk_gb: float
    cache_gb: float
    cores: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What it comes to.

    Attributes:
        per_customer: Collection → bytes on disk for each customer, documents and indexes; of what is spread.
        spread_gb: On disk, of what is spread.
        one_shard_gb: On disk, of what one shard has for itself.
        cache_gb: In memory, so that reads seldom wait for a disk.
        by_disk: Shards that the disk asks for.
        by_cache: Shards that the memory asks for.
        by_orders: Shards that the orders ask for.
    """

    per_customer: Mapping[str, float]
    spread_gb: float
    one_shard_gb: float
    cache_gb: float
    by_disk: int
    by_cache: int
    by_orders: int

    @property
    def shards(self) -> int:
        """The most of the three: 1 is a replica set as it is now."""
        return max(self.by_disk, self.by_cache, self.by_orders)


def estimate(sizes: Mapping[str, Size], customers: int, orders_a_second: float, machine: Machine) -> Estimate:
    """What so many customers would take, each like those that are stored.

    Args:
        sizes: Of the store as it is, which must have customers.
        customers: How many there are to be.
        orders_a_second: In the busiest minute.
        machine: What a member has.
    """
    grown = customers / sizes["customers"].documents
    spread = {name: size for name, size in sizes.items() if name in DECLARED}
    on_disk = {name: size.stored + size.indexes for name, size in sizes.items()}
    spread_gb = grown * sum(on_disk[name] for name in spread) / _GB
    one_shard_gb = grown * sum(bytes_ for name, bytes_ in on_disk.items() if name not in spread) / _GB
    cache_gb = grown * sum(size.indexes + _WARM * size.data for size in sizes.values()) / _GB
    return Estimate(
        per_customer={name: on_disk[name] / sizes["customers"].documents for name in spread},
        spread_gb=spread_gb,
        one_shard_gb=one_shard_gb,
        cache_gb=cache_gb,
        by_disk=_shards(spread_gb + one_shard_gb, machine.disk_gb * _DISK_FILLED),
        by_cache=_shards(cache_gb, machine.cache_gb),
        by_orders=_shards(orders_a_second, machine.cores * ORDERS_PER_CORE * _PROCESSORS_BUSY),
    )


def _shards(needed: float, of_one: float) -> int:
    return max(1, ceil(needed / of_one))
