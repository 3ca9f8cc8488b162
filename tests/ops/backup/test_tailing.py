"""Where slices of the oplog go on, and what is said where they cannot."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from crm.config import Settings
from crm.database.oplog_time import OplogTime
from crm.database.snapshot import NotInOplog, Source
from crm.errors import BackupFailed, PasswordRefused, Unavailable
from crm.identity import Role
from crm.ops.backup import files, slices, tailing
from crm.ops.backup.slices import Slice
from crm.ops.backup.tailing import Tailing
from crm.ops.backup.targets import Directory
from tests.fixtures.followed import backed_up, reached
from tests.fixtures.rows import customer_row
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo


@pytest.fixture
def target(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


def writes(store: Store, number: int) -> OplogTime:
    store.root["customers"].insert_one(customer_row(_id=f"cus_{number}", email=f"person{number}@example.com"))
    return reached(store)


def sliced(store: Store, target: Directory, after: OplogTime, last: OplogTime) -> Slice:
    """A slice that was taken once."""
    made = Slice(
        database=store.root.name, after=after, last=last, entries=0, stored=files.store(target, "s", iter([]), [])
    )
    slices.write(target, made)
    return made


def before(at: OplogTime, seconds: int = 0) -> OplogTime:
    """A place that the oplog does not hold: it was overwritten, or rolled back."""
    return OplogTime(at.seconds - seconds, 999_999)


def test_slices_follow_a_backup(store: Store, target: Directory) -> None:
    with pytest.raises(BackupFailed, match="There is no backup"):
        tailing.take(store.settings, target, [])
    made = backed_up(store, target)
    writes(store, 1)
    one = tailing.take(store.settings, target, [])
    assert one is not None
    assert one.after == made.oplog_last
    assert one.entries >= 1  # a transaction of another database, as other tests make, stays as an empty one


def test_a_backup_between_two_slices_leaves_no_hole(store: Store, target: Directory) -> None:
    backed_up(store, target)
    writes(store, 1)
    first = tailing.take(store.settings, target, [])
    assert first is not None
    time.sleep(1.1 - time.time() % 1)  # a second has one backup at most
    made = backed_up(store, target, writes(store, 2))
    writes(store, 3)
    second = tailing.take(store.settings, target, [])
    assert second is not None
    assert second.after == first.last < made.oplog_last < second.last


def test_a_slice_follows_what_the_oplog_holds_only(store: Store) -> None:
    begun = reached(store)
    last = writes(store, 1)
    with Source(store.uri(Role.BACKUP)) as source:
        assert len(list(source.oplog(begun, last))) >= 1
        for lost in (before(begun), before(begun, 86_400), OplogTime(last.seconds + 100, 1)):
            with pytest.raises(NotInOplog):
                source.oplog(lost, last)


def test_from_the_newest_backup_where_the_last_slice_cannot_be_followed(store: Store, target: Directory) -> None:
    now = reached(store)
    backed_up(store, target, before(now, 7_200))
    sliced(store, target, before(now, 7_200), before(now, 3_600))
    made = backed_up(store, target, writes(store, 1))
    writes(store, 2)
    with capture_logs() as logged:
        taken = tailing.take(store.settings, target, [])
    assert taken is not None
    assert taken.after == made.oplog_last
    assert ["between cannot be restored" in line["event"] for line in logged] == [True]
    with capture_logs() as logged:
        writes(store, 3)
        following = tailing.take(store.settings, target, [])
    assert following is not None
    assert following.after == taken.last
    assert logged == []


@pytest.mark.parametrize("with_a_slice", [False, True])
def test_what_nothing_can_be_followed_of_is_told(store: Store, target: Directory, with_a_slice: bool) -> None:
    now = writes(store, 1)
    backed_up(store, target, before(now, 7_200))
    if with_a_slice:
        sliced(store, target, before(now, 7_200), before(now, 3_600))
    there = target.names()
    with pytest.raises(BackupFailed, match="Run `crm backup create`"):
        tailing.take(store.settings, target, [])
    assert target.names() == there
    assert target.drafts() == []


def test_of_what_is_known_a_bucket_is_not_asked_again(
    store: Store, target: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(store, target)
    writes(store, 1)
    first = tailing.take(store.settings, target, [])
    writes(store, 2)
    second = tailing.take(store.settings, target, [], first)
    assert first is not None
    assert second is not None
    writes(store, 3)
    listed: list[list[str]] = []
    names = Directory.names

    def watched(self: Directory, behind: str = "") -> list[str]:
        listed.append(names(self, behind))
        return listed[-1]

    monkeypatch.setattr(Directory, "names", watched)
    third = tailing.take(store.settings, target, [], second)
    assert third is not None
    assert (second.after, third.after) == (first.last, second.last)
    assert [len(some) for some in listed] == [2], "the slice itself, in two files"
    for name in names(target):
        if "-oplog-" in name:
            target.delete(name)
    writes(store, 4)
    anew = tailing.take(store.settings, target, [], third)
    assert anew is not None
    assert anew.after == first.after, "somebody removed them: what is known is no longer so"


def test_nothing_new_is_no_slice(store: Store, target: Directory) -> None:
    ahead = OplogTime(reached(store).seconds + 100, 1)
    backed_up(store, target, ahead)
    assert tailing.take(store.settings, target, []) is None
    sliced(store, target, ahead, OplogTime(ahead.seconds + 1, 1))
    assert tailing.take(store.settings, target, []) is None


class Enough(Exception):
    """So many slices are enough."""


def until(many: int, then: Callable[[], object] = lambda: None) -> Callable[[Slice, Settings], None]:
    """Do something with each slice; after so many it is enough."""
    taken: list[Slice] = []

    def on_slice(made: Slice, _settings: Settings) -> None:
        taken.append(made)
        if len(taken) == many:
            raise Enough
        then()

    return on_slice


@pytest.fixture
def with_another_password(store: Store) -> Iterator[Settings]:
    """The settings with a new password of ``backup``, which MongoDB has; it gets the old one back."""
    store.root.command("updateUser", "backup", pwd="another password")
    yield store.settings.model_copy(update={"mongodb_password_backup": SecretStr("another password")})
    store.root.command("updateUser", "backup", pwd=store.settings.password(Role.BACKUP))


def test_a_password_that_is_refused_is_read_anew(
    store: Store, target: Directory, with_another_password: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailing, "_AGAIN", 0.01)
    backed_up(store, target)
    # MongoDB has the new one before the file has it.
    read = itertools.chain([store.settings], itertools.repeat(with_another_password))
    numbers = itertools.count()

    def goes_on() -> None:
        writes(store, next(numbers))

    goes_on()
    with capture_logs() as logged, pytest.raises(Enough):
        tailing.follow(Tailing(lambda: next(read), target, [], 0.01, until(2, goes_on)))
    assert [line["event"] for line in logged] == ["no slice was taken"]


@pytest.mark.usefixtures("with_another_password")
def test_a_password_that_stays_wrong_ends_it(store: Store, target: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailing, "_AGAIN", 0.01)
    backed_up(store, target, OplogTime(1, 1))
    with pytest.raises(PasswordRefused):
        tailing.follow(Tailing(lambda: store.settings, target, [], 60, until(1)))


def test_while_the_database_is_away_it_waits(store: Store, target: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    backed_up(store, target)
    answers = iter([Unavailable("away"), None])
    take = tailing.take

    def away_once(*arguments: object) -> Slice | None:
        if error := next(answers):
            raise error
        writes(store, 1)
        return take(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(tailing, "take", away_once)
    with capture_logs() as logged, pytest.raises(Enough):
        tailing.follow(Tailing(lambda: store.settings, target, [], 0.01, until(1)))
    assert [line["event"] for line in logged] == ["no slice was taken"]
