"""Whether a body is what its topic says: the topic stands in a header, and only the body is signed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from crm.connectors.reading import Json, has
from crm.errors import FieldError, Unmappable


@dataclass(frozen=True, slots=True)
class Shape:
    """What tells a topic's body from those of the others.

    Attributes:
        one_of: At least one of these fields is there; nothing is asked where it is empty.
        none_of: None of these is.
    """

    one_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()


def check(data: Json, *shapes: Shape) -> None:
    """Refuse a body that was signed as something else.

    Raises:
        Unmappable: It has not these shapes.
    """
    for shape in shapes:
        if shape.one_of and not any(has(data, name) for name in shape.one_of):
            raise wrong(shape.one_of[0], "Missing, which a body of this topic has.")
        other = next((name for name in shape.none_of if has(data, name)), None)
        if other is not None:
            raise wrong(other, "A body of this topic has no such field.")


def wrong(name: str, says: str) -> Unmappable:
    """The refusal."""
    detail = "The body is not what its topic says."
    return Unmappable(detail, reason="wrong_shape", errors=(FieldError(f"/{name}", says),))
