"""What a text can speak of. The words stand in both stores, so they never change."""

from enum import StrEnum


class EntityKind(StrEnum):
    """The kinds of entities that are looked for in the text of a page."""

    PERSON = "person"
    ORGANISATION = "organisation"
    PLACE = "place"
    EMAIL = "email"
    PHONE = "phone"
    URL = "url"
    HASHTAG = "hashtag"
    DATE = "date"
    MONEY = "money"
