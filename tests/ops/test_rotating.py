"""`crm rotate`: what it writes and what it does to MongoDB, cut off anywhere and run again."""

from __future__ import annotations

import itertools
import os
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from crm.config import Settings
from crm.contracts import contract
from crm.database import apply, users
from crm.errors import NotConfigured, OperatorError
from crm.identity import API_ROLES, Role
from crm.ops import rotating
from crm.ops.backup import slices
from crm.ops.backup.targets import Directory
from crm.ops.secrets import write_files
from tests.e2e.processes import clean_environment, crm
from tests.fixtures.followed import backed_up
from tests.fixtures.rows import product_row
from tests.fixtures.scratch import Site, scratch_site

_WRONG_PASSWORD = 18
OLD = "the old key of tokens, of 32 bytes or more"


def ignored(line: str) -> None:
    """What was told."""


@pytest.mark.fast
async def test_a_key_is_accepted_before_it_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "crm_jwt_secret"
    path.write_text(f"{OLD}\n")
    seen: list[list[str]] = []

    async def pass_by(seconds: float) -> None:
        assert seconds == 7
        seen.append(path.read_text().split("\n"))

    monkeypatch.setattr("crm.ops.rotating.asyncio.sleep", pass_by)
    await rotating.rotate_tokens(tmp_path, 7, ignored)
    new, old = path.read_text().split("\n")
    assert old == OLD
    assert seen == [[OLD, new]]
    await rotating.rotate_tokens(tmp_path, 7, ignored)
    assert path.read_text().split("\n")[1:] == [new, OLD]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.fast
def test_keys_are_forgotten_when_their_tokens_have_expired(tmp_path: Path) -> None:
    path = tmp_path / "crm_jwt_secret"
    path.write_text(f"signs\n{OLD}\nolder")
    with pytest.raises(OperatorError, match=r"valid for (1799|1800) s more"):
        rotating.forget_tokens(tmp_path, 1800, at_once=False)
    assert path.read_text() == f"signs\n{OLD}\nolder"
    os.utime(path, (time.time() - 1801,) * 2)
    assert rotating.forget_tokens(tmp_path, 1800, at_once=False) == 2
    assert path.read_text() == "signs"
    assert rotating.forget_tokens(tmp_path, 1800, at_once=False) == 0
    path.write_text(f"signs\n{OLD}")
    assert rotating.forget_tokens(tmp_path, 1800, at_once=True) == 1


@pytest.mark.fast
async def test_without_the_file_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="crm_jwt_secret"):
        await rotating.rotate_tokens(tmp_path, 0, ignored)
    assert list(tmp_path.iterdir()) == []


@dataclass
class Rotation:
    """A site and the files of its secrets."""

    site: Site
    root_uri: str
    folder: Path
    told: list[str] = field(default_factory=list)

    async def run(self, *roles: Role, within: float = 5) -> None:
        await rotating.rotate_users(
            self.root_uri, self.site.store.settings, self.folder, roles, within, self.told.append
        )

    def file(self, role: Role) -> list[str]:
        return (self.folder / f"crm_mongodb_password_{role.value}").read_text().split("\n")

    def named(self, role: Role) -> tuple[str, str]:
        password, *name = self.file(role)
        return (name[0] if name else role.value), password

    def users(self) -> set[str]:
        return {user["user"] for user in self.site.store.root.command("usersInfo", 1)["users"]}

    def client(self, name: str, password: str) -> MongoClient[dict[str, object]]:
        host, port = self.site.store.root.client.address or ("", 0)
        return MongoClient(host, port, username=name, password=password, authSource=self.site.store.root.name)

    def signs_in(self, name: str, password: str) -> bool:
        with self.client(name, password) as client:
            try:
                client[self.site.store.root.name].command("ping")
            except OperationFailure as exc:
                if exc.code == _WRONG_PASSWORD:
                    return False
                raise
            return True


@pytest_asyncio.fixture
async def rotation(root_uri: str, tmp_path: Path) -> AsyncIterator[Rotation]:
    async with scratch_site(root_uri, "rotating") as site:
        await site.apply()
        write_files(tmp_path)
        for role in Role:
            (tmp_path / f"crm_mongodb_password_{role.value}").write_text(site.store.settings.password(role) or "")
        yield Rotation(site, root_uri, tmp_path)


@pytest.mark.mongo
async def test_users_take_turns(rotation: Rotation) -> None:
    old = rotation.file(Role.SALES)[0]
    await rotation.run(*API_ROLES)
    assert rotation.users() == {f"{r.value}_2" if r in API_ROLES else r.value for r in Role}
    password, name = rotation.file(Role.SALES)
    assert name == "sales_2"
    assert rotation.signs_in("sales_2", password)
    assert not rotation.signs_in("sales", old)
    assert await rotation.site.check() == []
    await rotation.run(Role.SALES)
    (newest,) = rotation.file(Role.SALES)
    assert rotation.signs_in("sales", newest)
    assert not rotation.signs_in("sales_2", password)
    assert not any(secret in line for secret in (old, password, newest) for line in rotation.told)
    assert sorted(path.name for path in rotation.folder.glob("*.next")) == []


@pytest.mark.mongo
async def test_nobody_stays_signed_in_as_these_so_they_change_at_once(rotation: Rotation) -> None:
    roles = [role for role in Role if role not in API_ROLES]
    old = {role: rotation.file(role) for role in roles}
    await rotation.run(*roles)
    for role in roles:
        (new,) = rotation.file(role)
        assert rotation.signs_in(role.value, new)
        assert not rotation.signs_in(role.value, *old[role])
    assert rotation.users() == {role.value for role in Role}


@pytest.mark.mongo
async def test_who_is_signed_in_is_waited_for(rotation: Rotation) -> None:
    (old,) = rotation.file(Role.SALES)
    with rotation.client("sales", old) as staying:
        customers = staying[rotation.site.store.root.name]["customers"]
        assert customers.find_one({"_id": "nobody"}) is None
        with pytest.raises(OperatorError, match=r"connections of sales \(\d\)"):
            await rotation.run(Role.SALES, Role.AUTH, within=0)
        assert {"sales", "sales_2", "auth", "auth_2"} < rotation.users(), "nothing is taken from anybody"
        assert customers.find_one({"_id": "nobody"}) is None
        foreign = await rotation.site.check()
        assert [step.split(":")[0] for step in foreign] == ["? user sales_2", "? user auth_2"]
    written = rotation.file(Role.SALES)
    await rotation.run(Role.SALES, Role.AUTH)
    assert rotation.file(Role.SALES) == written, "it goes on, it does not begin anew"
    assert {"sales", "auth"}.isdisjoint(rotation.users())


@pytest.mark.mongo
async def test_cut_off_anywhere_it_goes_on(rotation: Rotation, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, call in [(users, "put", 1), (rotating, "write_private", 1), (rotating, "write_private", 2),
                               (users, "remove", 1)]:  # fmt: skip
        before = rotation.file(Role.SALES)
        with monkeypatch.context() as patched:
            patched.setattr(module, name, cut_off_at(call, getattr(module, name)))
            with pytest.raises(KeyboardInterrupt):
                await rotation.run(Role.SALES)
        assert rotation.signs_in(*rotation.named(Role.SALES)), "the file is right at any time"
        await rotation.run(Role.SALES)
        assert rotation.file(Role.SALES) != before
        assert rotation.signs_in(*rotation.named(Role.SALES))
        assert len({"sales", "sales_2"} & rotation.users()) == 1
        assert not rotation.signs_in("sales_2" if len(before) == 2 else "sales", before[0])
    assert await rotation.site.check() == []


def cut_off_at(call: int, do: Callable[..., object]) -> Callable[..., object]:
    calls = itertools.count(1)

    def cut(*arguments: object, **named: object) -> object:
        if next(calls) == call:
            raise KeyboardInterrupt
        return do(*arguments, **named)

    return cut


@pytest.mark.mongo
async def test_an_older_backup_knows_another_user(rotation: Rotation) -> None:
    """What is restored has the users of then; the files are newer."""
    await rotation.run(Role.SALES)
    db = rotation.site.store.root
    db.command("dropUser", "sales_2")
    db.command("createUser", "sales", pwd="of then", roles=["sales"])
    await rotation.run(Role.SALES)
    password, name = rotation.file(Role.SALES)
    assert name == "sales_2"
    assert rotation.signs_in("sales_2", password)
    assert "sales" not in rotation.users()


@pytest.mark.mongo
async def test_a_new_store_gets_the_user_that_the_secrets_name(root_uri: str) -> None:
    async with scratch_site(root_uri, "named") as site:
        passwords = {f"{role.value}_2" if role is Role.SALES else role.value: "x" * 20 for role in Role}
        db = site.database.raw(Role.ADMIN)
        steps = await apply.plan(db, contract(), passwords)
        await apply.apply(db, steps)
        there = {user["user"] for user in site.store.root.command("usersInfo", 1)["users"]}
        assert "sales_2" in there
        assert "sales" not in there
        assert await site.check() == []


@pytest.mark.mongo
async def test_only_who_may_see_connections_can_end_it(rotation: Rotation) -> None:
    settings: Settings = rotation.site.store.settings
    uri = settings.signed(settings.uri(), Role.ADMIN)
    with pytest.raises(OperatorError, match="inprog"):
        await rotating.rotate_users(uri, settings, rotation.folder, [Role.SALES], 5, ignored)
    assert {"sales", "sales_2"} < rotation.users()
    await rotation.run(Role.SALES)
    assert "sales" not in rotation.users()


@pytest.mark.mongo
def test_the_command_line(rotation: Rotation) -> None:
    database = rotation.site.store.root.name
    given = {"CRM_SECRETS_DIR": str(rotation.folder), "CRM_MONGODB_DATABASE": database}
    done = crm("rotate", "mongodb", "--role", "sales", "--mongodb-uri", rotation.root_uri, **given)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "The user sales_2 has a new password, and crm_mongodb_password_sales has it.",
        "The user sales is removed.",
    ]
    nowhere = crm("rotate", "tokens")
    assert nowhere.code == 1
    assert "CRM_SECRETS_DIR" in nowhere.err


@pytest.mark.mongo
def test_slices_go_on_while_the_passwords_of_commands_change(rotation: Rotation, tmp_path: Path) -> None:
    """`crm backup tail` runs for ever, and takes up the new password of `backup` from its file."""
    target, database = Directory(tmp_path / "backups"), rotation.site.store.root.name
    (rotation.folder / "crm_mongodb_root_password").unlink()  # root has another
    backed_up(rotation.site.store, target)
    given = {
        "CRM_MONGODB_URI": rotation.site.store.settings.uri(),
        "CRM_MONGODB_DATABASE": database,
        "CRM_SECRETS_DIR": str(rotation.folder),
        "CRM_BACKUP_TARGET": target.where,
    }

    def taken() -> int:
        rotation.site.store.root["products"].insert_one(product_row())
        return len(slices.spans_among(target.names(), database))

    def more_than(before: int) -> int:
        begun = time.monotonic()
        while (count := taken()) <= before:
            assert tail.poll() is None, log.read_text()
            assert time.monotonic() - begun < 60
            time.sleep(0.2)
        return count

    log = tmp_path / "tail.log"
    command = [sys.executable, "-m", "crm", "backup", "tail", "--every", "1", "--unencrypted"]
    with (
        log.open("w") as output,
        subprocess.Popen(command, env={**clean_environment(), **given}, stderr=output) as tail,
    ):
        try:
            count = more_than(0)
            for _ in range(2):
                roles = [word for role in ("backup", "migrator", "restore") for word in ("--role", role)]
                done = crm("rotate", "mongodb", *roles, "--mongodb-uri", rotation.root_uri, **given)
                assert (done.code, done.err) == (0, "")
                assert done.out.count("has a new password") == 3
                # The first of them may have been under way with the old one.
                count = more_than(more_than(count))
        finally:
            tail.terminate()
    for role in (Role.BACKUP, Role.MIGRATOR, Role.RESTORE):
        assert rotation.signs_in(*rotation.named(role))
    (noted,) = rotation.site.store.root["backup_runs"].find()
    assert noted["_id"] == "slice"
    assert noted["backup"].startswith(f"{database}-oplog-")
