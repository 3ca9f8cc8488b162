"""Each error of the driver becomes one of ours, and none carries what a person sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from bson import BSON
from bson.errors import InvalidBSON, InvalidDocument
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidOperation,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteError,
    WTimeoutError,
)

from crm.database.failures import duplicate_ids, translate
from crm.errors import (
    AlreadyExists,
    Conflict,
    CrmError,
    FieldError,
    Forbidden,
    InvalidInput,
    OperatorError,
    PasswordRefused,
    RuleViolated,
    Unavailable,
)

pytestmark = pytest.mark.fast

SECRET = "swordfish@example.com"
DUPLICATE = {
    "code": 11000,
    "errmsg": "E11000 duplicate key error collection: crm.customers index: one_customer_per_email_key "
    f'dup key: {{ email_key: "{SECRET}" }}',
    "keyPattern": {"email_key": 1},
    "keyValue": {"email_key": SECRET},
}


def not_valid(details: Mapping[str, Any]) -> dict[str, Any]:
    info = {"failingDocumentId": SECRET, "details": details}
    return {"code": 121, "errmsg": f"Document failed validation {SECRET}", "errInfo": info}


def schema_broken(*rules: Mapping[str, Any]) -> dict[str, Any]:
    """What our validators answer in errInfo: $and of one $jsonSchema and of $expr rules, as 6.0 writes it."""
    clause = {"operatorName": "$jsonSchema", "schemaRulesNotSatisfied": list(rules)}
    return {"operatorName": "$and", "clausesNotSatisfied": [{"index": 0, "details": clause}]}


def translated(exc: BaseException) -> CrmError:
    ours = translate(exc)
    assert ours is not None
    shown = f"{ours} {ours.detail} {ours.errors} {vars(ours)}"
    assert SECRET not in shown
    assert "swordfish" not in shown
    return ours


def failed(code: int, **details: Any) -> OperationFailure:
    return OperationFailure(f"text with {SECRET}", code, {"errmsg": SECRET, **details})


@pytest.mark.parametrize(
    ("exc", "ours", "retry_after"),
    [
        (failed(13), Forbidden, None),
        (failed(18), PasswordRefused, None),
        (failed(50), Unavailable, 1),
        (failed(64), Unavailable, 1),
        (failed(89), Unavailable, 1),
        (failed(262), Unavailable, 1),
        (failed(112), Conflict, None),
        (failed(14031), Unavailable, 5),
        (failed(121), RuleViolated, None),
        (failed(11000), AlreadyExists, None),
        *[(failed(code), InvalidInput, None) for code in (17419, 17420, 10334, 388)],
        (failed(59), OperatorError, None),
        (failed(291), OperatorError, None),  # notablescan
        (OperationFailure(SECRET), OperatorError, None),
        (ExecutionTimeout(SECRET, 50, {"errmsg": SECRET}), Unavailable, 1),
        (WTimeoutError(SECRET, 64, {"errmsg": SECRET}), Unavailable, 1),
        (NetworkTimeout(SECRET), Unavailable, 1),
        (ServerSelectionTimeoutError(SECRET), Unavailable, 2),
        (AutoReconnect(SECRET), Unavailable, 2),
        (ConnectionFailure(SECRET), Unavailable, 2),
        (NotPrimaryError(SECRET, {"errmsg": SECRET}), Unavailable, 2),
        (InvalidOperation(SECRET), OperatorError, None),
        (ConfigurationError(SECRET), OperatorError, None),
        (PyMongoError(SECRET), OperatorError, None),
        (InvalidDocument(SECRET), InvalidInput, None),
        (InvalidBSON(SECRET), InvalidInput, None),
        (OverflowError(SECRET), InvalidInput, None),
    ],
)
def test_every_kind_of_failure_has_its_answer(
    exc: BaseException, ours: type[CrmError], retry_after: int | None
) -> None:
    error = translated(exc)
    assert type(error) is ours
    assert error.retry_after == retry_after


@pytest.mark.parametrize("exc", [ValueError(SECRET), KeyError(SECRET), TypeError(SECRET), RuntimeError(SECRET)])
def test_what_is_no_failure_of_the_driver_is_left_alone(exc: Exception) -> None:
    assert translate(exc) is None


@pytest.mark.parametrize("value", [2**63, "\ud800"])
def test_what_bson_itself_cannot_hold_is_the_clients_fault(value: Any) -> None:
    with pytest.raises((OverflowError, UnicodeEncodeError)) as caught:
        BSON.encode({"value": value})
    assert type(translated(caught.value)) is InvalidInput


def test_an_outcome_that_is_unknown_is_said_to_be() -> None:
    assert "unknown" in translated(WTimeoutError("", 64, {})).detail
    assert "unknown" not in translated(failed(13)).detail


def test_a_duplicate_names_its_index_and_not_the_value() -> None:
    error = translated(DuplicateKeyError(str(DUPLICATE["errmsg"]), 11000, DUPLICATE))
    assert isinstance(error, AlreadyExists)
    assert error.index == "one_customer_per_email_key"
    without = translated(DuplicateKeyError(SECRET, None, None))
    assert isinstance(without, AlreadyExists)
    assert without.index == ""


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        (
            {"operatorName": "required", "missingProperties": ["source", "total"]},
            [("/source", "This field is required."), ("/total", "This field is required.")],
        ),
        (
            {"operatorName": "additionalProperties", "additionalProperties": ["nickname"]},
            [("/nickname", "This field is not known.")],
        ),
        (
            {
                "operatorName": "properties",
                "propertiesNotSatisfied": [
                    {
                        "propertyName": "email",
                        "details": [{"operatorName": "maxLength", "specifiedAs": {}, "consideredValue": SECRET}],
                    }
                ],
            },
            [("/email", "This value is not allowed.")],
        ),
        (
            {
                "operatorName": "properties",
                "propertiesNotSatisfied": [
                    {
                        "propertyName": "items",
                        "details": [
                            {
                                "operatorName": "items",
                                "itemIndex": 3,
                                "details": [
                                    {
                                        "operatorName": "properties",
                                        "propertiesNotSatisfied": [
                                            {"propertyName": "sku", "details": [{"consideredValue": SECRET}]}
                                        ],
                                    }
                                ],
                            }
                        ],
                    }
                ],
            },
            [("/items/3/sku", "This value is not allowed.")],
        ),
        (
            {
                "operatorName": "properties",
                "propertiesNotSatisfied": [
                    {
                        "propertyName": "items",
                        "details": [
                            {"operatorName": "items", "itemIndex": 0, "details": [{"consideredValue": SECRET}]}
                        ],
                    }
                ],
            },
            [("/items/0", "This item is not allowed.")],
        ),
        (
            {
                "operatorName": "properties",
                "propertiesNotSatisfied": [
                    {"propertyName": "items", "details": [{"operatorName": "minItems", "consideredValue": [SECRET]}]}
                ],
            },
            [("/items", "This list breaks minItems.")],
        ),
    ],
)
def test_a_broken_schema_is_told_field_by_field(rule: Mapping[str, Any], refused: list[tuple[str, str]]) -> None:
    error = translated(WriteError(SECRET, 121, not_valid(schema_broken(rule))))
    assert isinstance(error, RuleViolated)
    assert error.errors == tuple(FieldError(pointer, says) for pointer, says in refused)


@pytest.mark.parametrize("key", ["$const", "$literal"])
def test_a_broken_rule_across_fields_is_quoted(key: str) -> None:
    """6.0 reports a literal as $const, later servers as it was written."""
    rule = {"$expr": {"$let": {"vars": {"rule": {key: "the sum is right"}}, "in": {}}}}
    clause = {"operatorName": "$expr", "specifiedAs": rule, "expressionResult": False, "consideredValue": SECRET}
    details = {"operatorName": "$and", "clausesNotSatisfied": [{"index": 1, "details": clause}]}
    error = translated(WriteError(SECRET, 121, not_valid(details)))
    assert error.errors == (FieldError("", "the sum is right"),)


@pytest.mark.parametrize("details", [{}, {"operatorName": "$expr"}, {"clausesNotSatisfied": []}, {"reason": SECRET}])
def test_a_refusal_that_explains_nothing_is_still_a_refusal(details: Mapping[str, Any]) -> None:
    assert isinstance(translated(WriteError(SECRET, 121, not_valid(details))), RuleViolated)


def bulk(*errors: Mapping[str, Any], unconfirmed: bool = False) -> BulkWriteError:
    details = {"writeErrors": [{"op": {"_id": f"evt_{n}", "email": SECRET}, **e} for n, e in enumerate(errors)]}
    if unconfirmed:
        details["writeConcernErrors"] = [{"code": 64, "errmsg": SECRET}]
    return BulkWriteError(details)


def test_of_a_batch_what_was_refused_counts_more_than_what_was_there() -> None:
    refused = not_valid(schema_broken({"missingProperties": ["source"]}))
    assert isinstance(translated(bulk(DUPLICATE, refused, DUPLICATE)), RuleViolated)
    assert isinstance(translated(bulk(DUPLICATE, DUPLICATE)), AlreadyExists)
    assert isinstance(translated(bulk()), OperatorError)


def test_of_a_batch_that_the_majority_did_not_confirm_nothing_is_known() -> None:
    for exc in (bulk(unconfirmed=True), bulk(DUPLICATE, unconfirmed=True)):
        assert isinstance(translated(exc), Unavailable)
        assert duplicate_ids(exc) is None
    assert isinstance(translated(bulk({"code": 121}, unconfirmed=True)), RuleViolated)


def test_only_a_batch_of_nothing_but_duplicates_names_the_ids_that_were_there() -> None:
    assert duplicate_ids(bulk(DUPLICATE, DUPLICATE)) == {"evt_0", "evt_1"}
    assert duplicate_ids(bulk(DUPLICATE, {"code": 121})) is None
    assert duplicate_ids(bulk()) is None
    assert duplicate_ids(DuplicateKeyError("", 11000, DUPLICATE)) is None
    assert duplicate_ids(None) is None
