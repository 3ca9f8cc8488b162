"""The tree of errors: what the docstring draws is what the classes are."""

from __future__ import annotations

import re
from http import HTTPStatus

import pytest

from crm import errors
from crm.errors import (
    AlreadyExists,
    ClientGone,
    CrmError,
    FieldError,
    InvalidAmount,
    InvalidInput,
    Moved,
    OperatorError,
    RuleViolated,
)

pytestmark = pytest.mark.fast


def defined() -> set[type[CrmError]]:
    return {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, CrmError)}


def drawn() -> dict[str, tuple[str | None, int | None]]:
    """Class name → (parent, status) as the module's docstring draws them."""
    out: dict[str, tuple[str | None, int | None]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"((?:│   |    )*)(?:[├└]── )?([A-Z]\w+)(?: +(\d{3})\b.*| {2,}.*)?", line)
        if match is None or not (line.startswith(("├", "└", "│", " ")) or line == "CrmError"):
            continue
        depth = 0 if line == "CrmError" else len(match[1]) // 4 + 1
        path[depth:] = [match[2]]
        out[match[2]] = (path[depth - 1] if depth else None, int(match[3]) if match[3] else None)
    return out


def test_the_docstring_draws_every_class_below_its_base_with_its_status() -> None:
    tree = drawn()
    assert tree.keys() == {c.__name__ for c in defined()}
    for cls in (c for c in defined() if c is not CrmError):
        parent, status = tree[cls.__name__]
        assert parent == cls.__bases__[0].__name__
        assert status == cls.status or (status is None and issubclass(cls, OperatorError)), cls


def test_every_code_means_one_thing() -> None:
    codes = [c.code for c in defined()]
    assert sorted(codes) == sorted(set(codes))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("cls", sorted(defined() - {Moved}, key=str))
def test_every_error_is_described_and_has_a_status_of_http(cls: type[CrmError]) -> None:
    assert cls.__doc__
    assert 400 <= cls.status < 600
    assert cls is ClientGone or HTTPStatus(cls.status)
    assert cls.title[0].isupper()
    assert "code" in vars(cls)
    made = cls("A sentence.")
    assert (made.detail, str(made), made.errors, made.retry_after) == ("A sentence.", "A sentence.", (), None)


def test_what_goes_by_another_id_says_by_which() -> None:
    moved = Moved("A sentence.", old="cus_1", new="cus_2")
    assert Moved.__doc__
    assert (moved.status, moved.code, moved.old, moved.new) == (308, "moved", "cus_1", "cus_2")


def test_what_only_the_operator_can_mend_is_never_blamed_on_a_client() -> None:
    assert {c.status for c in defined() if issubclass(c, OperatorError)} == {500}


def test_a_refused_field_is_named() -> None:
    error = InvalidAmount.at("/total", "Too many decimals.")
    assert isinstance(error, InvalidAmount)
    assert error.errors == (FieldError("/total", "Too many decimals."),)
    assert type(InvalidInput.at("", "x")) is InvalidInput


def test_who_catches_refused_input_catches_the_databases_own_refusal() -> None:
    assert issubclass(RuleViolated, InvalidInput)
    assert AlreadyExists("x", index="one_user_per_email").index == "one_user_per_email"
