"""What operations answer, as far as several share it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Ok = Annotated[bool, Meta(extra_json_schema={"const": True})]


class Answer(Struct, rename="camel"):
    """Done. Subclasses are `kw_only`, so that `ok` stands first."""

    ok: Ok = True
