"""Every error this product raises on purpose.

CrmError
├── Moved                       308  the customer was merged into another, whose id it names
├── InvalidInput                422  the request is readable, its content is not acceptable
│   ├── InvalidAmount           422
│   ├── Unmappable              422  another system's message cannot be expressed here; ``reason`` says why
│   ├── IdempotencyKeyReused    422  the key belongs to a request with another content
│   └── RuleViolated            422  a validator of the database refused the document
├── UnreadableRequest           400  syntax, encoding, unknown query parameter, unindexed filter
├── NotSignedIn                 401
│   └── WrongCredentials        401
├── Forbidden                   403  the role may not; also MongoDB's own refusal
│   └── OriginNotAllowed        403  a key that may not be used on this web site
├── NotFound                    404
├── Conflict                    409
│   ├── AlreadyExists           409  a unique index refused it
│   ├── Erased                  409  this person was erased, and what is older than that does not bring them back
│   └── RequestInProgress       409  the first request with this key has no answer yet; with ``retry_after``
├── StaleVersion                412  If-Match names an older version
├── VersionRequired             428  a change without If-Match or "version"
├── TooLarge                    413  the body, or what it holds, is larger than is accepted
├── UnsupportedMediaType        415
├── TooManyAttempts             429  with ``retry_after``
│   └── RateLimited             429  a key has sent more than it may
├── ClientGone                  499  the connection was closed before the whole request had come
├── Unavailable                 503  the database cannot be reached or is too slow; with ``retry_after``
├── InternalError               500  a fault of this program
└── OperatorError               500  for whoever runs the service; never caused by a request
    ├── NotConfigured
    │   └── PasswordRefused     MongoDB refused the user name or password of a client
    ├── EmbeddedServerError
    ├── BackupFailed            a backup, a restore, or a check of one did not go well
    ├── ContractError           indexes/*.toml or a contract cannot be read
    ├── ContractDrift           the live database differs in a way that apply will not mend
    ├── ApplyInProgress         another run changes the database at this moment
    └── LeaseLost               this run may not go on changing it: another may have begun
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field.

    Attributes:
        pointer: JSON pointer (RFC 6901) into the request body, or the name of a query parameter or header.
        detail: A sentence that never repeats the value.
    """

    pointer: str
    detail: str


class CrmError(Exception):
    """The root; ``code`` is stable and machine-readable, ``status`` is the HTTP status it is answered with."""

    code = "error"
    status = 500
    title = "Error"

    def __init__(self, detail: str, *, errors: tuple[FieldError, ...] = (), retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.retry_after = retry_after


class Moved(CrmError):
    """A resource goes by another id now.

    Args:
        detail: A sentence.
        old: The id that was asked for.
        new: The id to ask for.
    """

    code = "moved"
    status = 308
    title = "Moved"

    def __init__(self, detail: str, *, old: str, new: str) -> None:
        super().__init__(detail)
        self.old = old
        self.new = new


class InvalidInput(CrmError):
    """The request could be read, but a field's content is not acceptable."""

    code = "invalid_input"
    status = 422
    title = "Invalid input"

    @classmethod
    def at(cls, pointer: str, detail: str) -> InvalidInput:
        """Refuse one field."""
        return cls("The request has a field that cannot be accepted.", errors=(FieldError(pointer, detail),))


class InvalidAmount(InvalidInput):
    """An amount of money that its currency cannot express."""

    code = "invalid_amount"


class Unmappable(InvalidInput):
    """What another system sent cannot be expressed here; ``reason`` is stable and machine-readable."""

    code = "unmappable"

    def __init__(
        self,
        detail: str,
        *,
        reason: str = "unmappable",
        errors: tuple[FieldError, ...] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail, errors=errors, retry_after=retry_after)
        self.reason = reason


class IdempotencyKeyReused(InvalidInput):
    """The Idempotency-Key was used already, for a request with another content."""

    code = "idempotency_key_reused"
    title = "Idempotency-Key reused"


class RuleViolated(InvalidInput):
    """A validator of the database refused the document: the last line of defence."""

    code = "rule_violated"
    title = "A rule of the database was violated"


class UnreadableRequest(CrmError):
    """Syntax, encoding, an unknown query parameter, or a filter that no index serves."""

    code = "unreadable_request"
    status = 400
    title = "Unreadable request"


class ClientGone(CrmError):
    """The client closed the connection before its whole request had come; nobody is left to read this."""

    code = "client_gone"
    status = 499  # nginx's; HTTP has none
    title = "Client gone"


class NotSignedIn(CrmError):
    """No credentials, or credentials that are not valid (any more)."""

    code = "not_signed_in"
    status = 401
    title = "Not signed in"


class WrongCredentials(NotSignedIn):
    """The e-mail and password do not belong together."""

    code = "wrong_credentials"


class Forbidden(CrmError):
    """The role may not do this; said by a guard or by MongoDB itself."""

    code = "forbidden"
    status = 403
    title = "Forbidden"


class OriginNotAllowed(Forbidden):
    """A write key that may not be used on this web site."""

    code = "origin_not_allowed"


class NotFound(CrmError):
    """There is no such resource."""

    code = "not_found"
    status = 404
    title = "Not found"


class Conflict(CrmError):
    """The request contradicts the present state."""

    code = "conflict"
    status = 409
    title = "Conflict"


class AlreadyExists(Conflict):
    """A unique index refused the document; ``index`` is its name."""

    code = "already_exists"
    title = "Already exists"

    def __init__(self, detail: str, *, index: str = "", errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail, errors=errors)
        self.index = index


class Erased(Conflict):
    """Whom this names was erased; what is older than that, or does not say how old it is, cannot bring them back."""

    code = "erased"
    title = "Erased"

    def __init__(
        self, detail: str = "This person was erased at their request; this is older, and cannot bring them back."
    ) -> None:
        super().__init__(detail)


class RequestInProgress(Conflict):
    """The first request with this Idempotency-Key has not been answered yet."""

    code = "request_in_progress"
    title = "Request in progress"


class StaleVersion(CrmError):
    """Somebody else changed the resource first."""

    code = "stale_version"
    status = 412
    title = "Precondition failed"


class VersionRequired(CrmError):
    """A change must say which version it was made against."""

    code = "version_required"
    status = 428
    title = "Precondition required"


class TooLarge(CrmError):
    """The body is larger than is accepted from this client."""

    code = "payload_too_large"
    status = 413
    title = "Payload too large"


class UnsupportedMediaType(CrmError):
    """The body's content type is not one that this route reads."""

    code = "unsupported_media_type"
    status = 415
    title = "Unsupported media type"


class TooManyAttempts(CrmError):
    """Slow down."""

    code = "too_many_attempts"
    status = 429
    title = "Too many attempts"


class RateLimited(TooManyAttempts):
    """A key has sent more than it may."""

    code = "rate_limited"
    title = "Rate limited"


class Unavailable(CrmError):
    """The database cannot be reached, or did not answer in time; the outcome of a write is unknown."""

    code = "unavailable"
    status = 503
    title = "Temporarily unavailable"


class InternalError(CrmError):
    """A fault of this program."""

    code = "internal_error"
    title = "Internal error"


class OperatorError(CrmError):
    """Something that only whoever runs the service can mend."""

    code = "operator_error"
    title = "The service is not set up rightly"


class NotConfigured(OperatorError):
    """A setting without which the service refuses to start."""

    code = "not_configured"


class PasswordRefused(NotConfigured):
    """MongoDB refused the user name or password of a client of this service."""

    code = "password_refused"


class EmbeddedServerError(OperatorError):
    """The bundled MongoDB cannot run here, or not now."""

    code = "embedded_server"


class ContractError(OperatorError):
    """What is declared (indexes/*.toml, a contract) cannot be read."""

    code = "contract"


class ContractDrift(OperatorError):
    """The live database differs from the contract."""

    code = "contract_drift"


class BackupFailed(OperatorError):
    """A backup, a restore, or a check of one did not go well."""

    code = "backup_failed"


class ApplyInProgress(OperatorError):
    """Another run changes the database."""

    code = "apply_in_progress"


class LeaseLost(OperatorError):
    """The lock of this run has ended before its work did."""

    code = "lease_lost"
