"""The driver's errors as ours. No value of a document or filter may reach the text: they are people's data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from bson.errors import BSONError
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

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

_UNAUTHORIZED: Final = 13
_WRONG_PASSWORD: Final = 18
_TIMED_OUT: Final = frozenset({50, 64, 89, 262})
_WRITE_CONFLICT: Final = 112
_NOT_VALID: Final = 121
_DUPLICATE: Final = 11000
_NOT_UNIQUE: Final = 359
#: More than 16 MiB after an update, an upsert or on its own; more than the storage engine's cache takes at once.
#: Starting, shutting down, stepping down, not primary, no majority or no key yet: in a moment somebody will answer.
_AWAY: Final = frozenset({6, 7, 91, 94, 133, 134, 189, 211, 9001, 10058, 10107, 11600, 11602, 13435, 13436})
_TOO_LARGE: Final = frozenset({17419, 17420, 10334, 388})
#: Said in time; where the journal cannot be written, MongoDB ends itself and another member takes over.
_NO_SPACE: Final = 14031
_AWAY_NOW: Final = "The database cannot be reached at the moment."
#: OpenSSL's word, in the driver's text.
_CERTIFICATE: Final = "CERTIFICATE_VERIFY_FAILED"
_UNTRUSTED: Final = (
    "The database cannot be reached: its certificate is not signed by whom tlsCAFile names, not for this host name, or "
    "expired."
)
_INDEX_NAME = re.compile(r"index: (\S+) dup key")


@contextmanager
def driver_errors() -> Iterator[None]:
    """Raise what the driver raises as our errors."""
    try:
        yield
    except (PyMongoError, OverflowError, UnicodeEncodeError, ArithmeticError) as exc:
        ours = translate(exc)
        if ours is None:
            raise
        raise ours from exc


def translate(exc: BaseException) -> CrmError | None:
    """Our error for one that the driver raised; None where it is none of the driver's."""
    if isinstance(exc, BulkWriteError):
        details = exc.details or {}
        refused = [e for e in details.get("writeErrors", []) if e.get("code") != _DUPLICATE]
        if not refused and details.get("writeConcernErrors"):
            return _unknown_outcome()
        return _from_code(next(iter(refused or details.get("writeErrors", [])), {}))
    if isinstance(exc, ServerSelectionTimeoutError):
        return Unavailable(_UNTRUSTED if _CERTIFICATE in str(exc) else _AWAY_NOW, retry_after=2)
    if isinstance(exc, WTimeoutError | ExecutionTimeout) or getattr(exc, "timeout", False):
        return _unknown_outcome()
    if isinstance(exc, AutoReconnect | ConnectionFailure):
        return Unavailable(_AWAY_NOW, retry_after=2)
    if isinstance(exc, OperationFailure):
        return _from_code({"code": exc.code, **(exc.details or {})}, isinstance(exc, DuplicateKeyError))
    if isinstance(exc, BSONError | OverflowError | UnicodeEncodeError | ArithmeticError):
        # BSON's own limits: 8-byte integers, years 1 to 9999, 34 digits, no lone surrogates.
        return InvalidInput("A value lies outside what the database can store.")
    if isinstance(exc, PyMongoError):
        return OperatorError(f"The database refused a command ({type(exc).__name__}).")
    return None


def duplicate_ids(exc: BaseException | None) -> set[str] | None:
    """The ids of a batch that were stored already; None where the batch failed for any other reason."""
    details = (exc.details or {}) if isinstance(exc, BulkWriteError) else {}
    errors = details.get("writeErrors", [])
    if not errors or details.get("writeConcernErrors") or any(error["code"] != _DUPLICATE for error in errors):
        return None
    return {error["op"]["_id"] for error in errors}


def refused_writes(exc: BaseException | None) -> dict[int, CrmError] | None:
    """Why single writes of a batch were refused, by their place; None where the batch as a whole failed."""
    details = (exc.details or {}) if isinstance(exc, BulkWriteError) else {}
    errors = details.get("writeErrors", [])
    if not errors or details.get("writeConcernErrors"):
        return None
    return {error["index"]: _from_code(error) for error in errors}


def alike(exc: BaseException | None) -> list[list[Any]] | None:
    """The ids of each group of documents for which an index cannot become unique; None where that is not the reason."""
    if not isinstance(exc, OperationFailure) or exc.code != _NOT_UNIQUE:
        return None
    return [list(group["ids"]) for group in (exc.details or {}).get("violations", [])]


def matched_modified_created(exc: BaseException | None) -> tuple[int, int, frozenset[int]]:
    """How many writes of a partly refused batch found their document, how many changed it, and places of new ones."""
    details = (exc.details or {}) if isinstance(exc, BulkWriteError) else {}
    created = frozenset(upserted["index"] for upserted in details.get("upserted", []))
    return details.get("nMatched", 0), details.get("nModified", 0), created


def _from_code(error: Mapping[str, Any], duplicate: bool = False) -> CrmError:
    code = error.get("code")
    if duplicate or code == _DUPLICATE:
        match = _INDEX_NAME.search(str(error.get("errmsg", "")))
        index = match[1] if match else ""
        return AlreadyExists("There is one already.", index=index)
    if code == _UNAUTHORIZED:
        return Forbidden("MongoDB refused: this role may not do that.")
    if code == _NOT_VALID:
        return RuleViolated("The database refused the document.", errors=tuple(_broken_rules(error.get("errInfo", {}))))
    if code == _WRITE_CONFLICT:
        return Conflict("Somebody else is changing the same document; try again.")
    if code in _TOO_LARGE:
        return InvalidInput("With this the document would be larger than the database can store.")
    if code in _AWAY:
        return Unavailable(_AWAY_NOW, retry_after=2)
    if code == _NO_SPACE:
        return Unavailable("The database has no space left to write to.", retry_after=5)
    if code in _TIMED_OUT:
        return _unknown_outcome()
    if code == _WRONG_PASSWORD:
        return PasswordRefused("MongoDB refused the user name or password of a client of this service.")
    return OperatorError(f"The database refused a command (code {code}).")


def _unknown_outcome() -> Unavailable:
    return Unavailable("The database did not answer in time; whether a write was made is unknown.", retry_after=1)


def _broken_rules(info: Mapping[str, Any]) -> Iterator[FieldError]:
    """Walk errInfo, whose ``consideredValue`` must not leave this function."""
    details = info.get("details", {})
    clauses = [c.get("details", {}) for c in details.get("clausesNotSatisfied", [])] or [details]
    for clause in clauses:
        if clause.get("operatorName") == "$expr":
            rule = clause.get("specifiedAs", {}).get("$expr", {}).get("$let", {}).get("vars", {}).get("rule", {})
            name = rule.get("$const", rule.get("$literal")) if isinstance(rule, Mapping) else rule
            yield FieldError("", str(name or "A rule that spans fields is broken."))
        else:
            yield from _broken_schema(clause.get("schemaRulesNotSatisfied", []), "")


def _broken_schema(rules: Any, pointer: str) -> Iterator[FieldError]:
    for rule in rules:
        if "additionalProperties" in rule:
            for name in rule["additionalProperties"]:
                yield FieldError(f"{pointer}/{name}", "This field is not known.")
        for name in rule.get("missingProperties", []):
            yield FieldError(f"{pointer}/{name}", "This field is required.")
        for broken in rule.get("propertiesNotSatisfied", []):
            inner = list(_broken_schema(broken.get("details", []), f"{pointer}/{broken['propertyName']}"))
            yield from inner or [FieldError(f"{pointer}/{broken['propertyName']}", "This value is not allowed.")]
        if "itemIndex" in rule:
            inner = list(_broken_schema(rule.get("details", []), f"{pointer}/{rule['itemIndex']}"))
            yield from inner or [FieldError(f"{pointer}/{rule['itemIndex']}", "This item is not allowed.")]
        elif rule.get("operatorName") in {"minItems", "maxItems"}:
            yield FieldError(pointer, f"This list breaks {rule['operatorName']}.")
