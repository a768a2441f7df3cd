"""The tables of the publication, as PostgreSQL's catalog has them now: which there are, and their columns."""

from collections.abc import Collection
from dataclasses import dataclass

from psycopg import Connection

from chronolake.oltp.replication import PUBLICATION
from chronolake.oltp.statements import statement

#: PostgreSQL brings all types below this oid along (FirstNormalObjectId); the others belong to the database.
FIRST_OWN_OID = 16384


@dataclass(frozen=True)
class PublishedTable:
    """A table that the publication names."""

    oid: int
    schema: str
    name: str


@dataclass(frozen=True)
class AttributeFacts:
    """A column that a relation has, or had: `missing` is what rows older than the column have in it, as text.

    `given`: new rows get a value by themselves, by a default or as an identity.
    """

    number: int
    name: str
    type_oid: int
    type_modifier: int
    dropped: bool
    published: bool
    missing: str | None
    given: bool


@dataclass(frozen=True)
class RelationFacts:
    """A relation as it is now. `types` maps its user-defined types to built-in ones that are sent in the same form."""

    schema: str
    name: str
    filenode: int
    key: tuple[str, ...]
    attributes: tuple[AttributeFacts, ...]
    types: dict[int, int]


def published(conn: Connection) -> list[PublishedTable]:
    """The tables that the publication names now."""
    rows = conn.execute(statement("published_tables"), {"publication": PUBLICATION})
    return [PublishedTable(*row) for row in rows]


def facts(conn: Connection, oid: int, type_oids: Collection[int] = ()) -> RelationFacts | None:
    """What the catalog says of a relation, and of the types `type_oids` besides its own; null where it is gone."""
    row = conn.execute(statement("relation_facts"), {"oid": oid}).fetchone()
    if row is None:
        return None
    found = conn.execute(statement("relation_attributes"), {"oid": oid, "publication": PUBLICATION})
    attributes = tuple(AttributeFacts(*values) for values in found)
    oids = {attribute.type_oid for attribute in attributes} | set(type_oids)
    own = [oid for oid in sorted(oids) if oid >= FIRST_OWN_OID]
    types: dict[int, int] = (
        dict(conn.execute(statement("relation_types"), {"oids": own}).fetchall()) if own else {}
    )
    return RelationFacts(row[0], row[1], row[2], tuple(row[3]), attributes, types)
