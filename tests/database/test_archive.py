"""The stream of an archive: what stays, what goes, and what is refused."""

from __future__ import annotations

import io
from typing import Any

import bson
import pytest
from bson.timestamp import Timestamp

from crm.database.archive import Kept, Told, narrowed
from crm.errors import BackupFailed
from tests.fixtures.archives import END, MAGIC, Writer, head, read_documents

pytestmark = pytest.mark.fast
OURS = Kept({"crm": "crm"})


def entry(ordinal: int, namespace: str, op: str = "i", **fields: Any) -> bytes:
    return bson.encode(
        {"op": op, "ns": namespace, "ts": Timestamp(100, ordinal), "v": 2, "o": {"_id": ordinal}, **fields}
    )


def archive(oplog: list[bytes] | None = None) -> bytes:
    out = io.BytesIO()
    writer = Writer(out)
    places = [("crm", "orders"), ("other", "orders"), ("crm_ledger", "forgotten"), ("admin", "system.users")]
    about = [{"db": db, "collection": name, "metadata": "{}", "size": 0, "type": "collection"} for db, name in places]
    writer.prelude("6.0.5", [*about, {"db": "", "collection": "oplog", "metadata": "", "size": 0, "type": ""}])
    for number in range(3):  # mixed, as several are dumped at a time
        for place in places:
            writer.segment(*place, [bson.encode({"_id": f"{place[0]} {number}"})])
    for place in places:
        writer.eof(*place)
    writer.segment("", "oplog", oplog or [entry(1, "crm.orders")])
    writer.eof("", "oplog")
    return out.getvalue()


def narrow(data: bytes, kept: Kept = OURS) -> tuple[bytes, Told]:
    told = Told()
    return b"".join(narrowed(io.BytesIO(data), kept, told)), told


def contents(data: bytes) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Read on its own, with every checksum compared."""
    from fastcrc import crc64

    stream = io.BytesIO(data)
    assert stream.read(4) == MAGIC
    _, *about = read_documents(stream)
    out: dict[tuple[str, str], list[dict[str, Any]]] = {
        (one["db"], one["collection"]): [] for one in map(bson.decode, about)
    }
    raw: dict[tuple[str, str], bytes] = {}
    while start := stream.read(4):
        header = start + stream.read(int.from_bytes(start, "little") - 4)
        one = bson.decode(header)
        place, documents = (one["db"], one["collection"]), list(read_documents(stream))
        if one["EOF"]:
            assert head(*place, eof=True, crc=crc64.xz(raw.get(place, b""))) == header
        raw[place] = raw.get(place, b"") + b"".join(documents)
        out[place] += map(bson.decode, documents)
    return out


def test_only_ours_stays() -> None:
    data, told = narrow(archive())
    found = contents(data)
    assert found.keys() == {("crm", "orders"), ("", "oplog")}
    assert [one["_id"] for one in found["crm", "orders"]] == ["crm 0", "crm 1", "crm 2"]
    assert (told.documents, told.entries, told.server_version) == (3, 1, "6.0.5")
    assert contents(narrow(archive(), Kept({"crm": "crm"}, accounts=True))[0]).keys() == {
        *found, ("admin", "system.users"),
    }  # fmt: skip


def test_it_can_be_given_another_name() -> None:
    nested = {"applyOps": [{"op": "i", "ns": "crm.orders", "o": {"_id": 9}}]}
    oplog = [
        entry(1, "crm.orders"),
        entry(2, "crm.$cmd", "c", o={"create": "x"}),
        entry(3, "admin.$cmd", "c", o=nested),
    ]
    found = contents(narrow(archive(oplog), Kept({"crm": "elsewhere"}))[0])
    assert found.keys() == {("elsewhere", "orders"), ("", "oplog")}
    spaces = [one["ns"] for one in found["", "oplog"]]
    assert spaces == ["elsewhere.orders", "elsewhere.$cmd", "admin.$cmd"]
    assert found["", "oplog"][2]["o"]["applyOps"][0]["ns"] == "elsewhere.orders"


def test_the_oplog_tells_of_ours_only() -> None:
    oplog = [
        entry(1, "", "n", o={"msg": "periodic noop"}),
        entry(2, "crm_ledger.forgotten", o={"names": ["secret"]}),
        entry(3, "crm.orders"),
        entry(4, "config.transactions", "u"),
        entry(
            5, "admin.$cmd", "c",
            o={"applyOps": [
                {"op": "i", "ns": "crm.orders", "o": {"_id": 1, "total": bson.Decimal128("1.10")}},
                {"op": "i", "ns": "crm_ledger.forgotten", "o": {"names": ["secret"]}},
            ]},
            lsid={"id": 1}, txnNumber=bson.Int64(7), prevOpTime={"ts": Timestamp(0, 0), "t": bson.Int64(-1)},
        ),
        entry(6, "admin.$cmd", "c", o={"commitTransaction": 1}),
        entry(7, "admin.system.users", o={"user": "mole"}),
        entry(8, "crm_else.orders"),
        entry(9, "other.$cmd", "c", o={"dropDatabase": 1}),
    ]  # fmt: skip
    data, told = narrow(archive(oplog))
    found = contents(data)["", "oplog"]
    assert [one["ts"].inc for one in found] == [3, 5, 6]
    assert found[1]["o"] == {
        "applyOps": [{"op": "i", "ns": "crm.orders", "o": {"_id": 1, "total": bson.Decimal128("1.10")}}]
    }
    assert type(found[1]["txnNumber"]) is bson.Int64
    assert b"secret" not in data
    # What was seen, whether it stayed or not, is what the dump is of.
    assert (str(told.first), str(told.last), told.entries) == ("100:1", "100:9", 3)


def test_an_oplog_of_others_only_leaves_one_entry_that_does_nothing() -> None:
    """Without any, mongorestore fails."""
    data, told = narrow(archive([entry(1, "other.orders"), entry(2, "", "n")]))
    (left,) = contents(data)["", "oplog"]
    assert (left["op"], left["ns"], left["ts"], told.entries) == ("n", "", Timestamp(100, 2), 0)
    again, _ = narrow(data)  # as a restore does
    assert contents(again) == contents(data)


@pytest.mark.parametrize("cut", [0, 3, 4, 60, 700, -1, -4, -5, -100])
def test_an_archive_that_is_cut_short_is_refused(cut: int) -> None:
    data = archive()
    with pytest.raises(BackupFailed):
        narrow(data[:cut])


def test_an_archive_that_ends_between_two_segments_is_refused() -> None:
    data = archive()
    ends = [at for at in range(len(data)) if data[at : at + 4] == END]
    for at in ends[1:-1]:
        with pytest.raises(BackupFailed, match="cut short"):
            narrow(data[: at + 4])
    narrow(data[: ends[-1] + 4])


def test_what_is_no_archive_is_refused() -> None:
    for data in (b"", b"\x1f\x8b\x08\x00", MAGIC + END, MAGIC + b"\x01\x00\x00\x00" + END):
        with pytest.raises(BackupFailed):
            narrow(data)
