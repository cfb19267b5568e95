"""List headers: values that a sender may spread over several lines of the same name (RFC 9110, section 5.3). No I/O.

1. Lines of one name mean the same as one line in which their values are joined by commas. Proxies join and split them,
   so a header that is a list is never read by its first line alone.
2. `Cookie` is the exception: its pairs are separated by semicolons (RFC 6265, section 5.4), and HTTP/2 splits them into
   lines (RFC 9113, section 8.2.3).
3. Empty elements of a list are ignored.
"""

from __future__ import annotations

from multidict import MultiMapping


def joined(headers: MultiMapping[str], name: str) -> str:
    """Return the value of all lines of this name; empty if there are none."""
    lines = headers.getall(name, ())
    if len(lines) == 1:
        return lines[0]
    return ("; " if name.lower() == "cookie" else ", ").join(lines)


def elements(headers: MultiMapping[str], name: str) -> list[str]:
    """Return the elements of a list header, without the space around them."""
    return [element for part in joined(headers, name).split(",") if (element := part.strip(" \t"))]


def tokens(headers: MultiMapping[str], name: str) -> list[str]:
    """Return the elements of a list header whose letters may be of either case, in lower case."""
    return [element.lower() for element in elements(headers, name)]


def names_etag(headers: MultiMapping[str], etag: str) -> bool:
    """Whether `If-None-Match` names this entity tag, given without quotes.

    The comparison is weak (RFC 9110, section 13.1.2): proxies that recompress turn a tag into `W/"…"`.
    """
    return any(element in ("*", f'"{etag}"', f'W/"{etag}"') for element in elements(headers, "If-None-Match"))
