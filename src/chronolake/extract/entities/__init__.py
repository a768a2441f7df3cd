"""What a text speaks of: addresses, numbers, days and sums by rules; persons and the like by rules or a model."""

from chronolake.extract.entities.extractor import EntityExtractor, extractor_of
from chronolake.extract.entities.mention import Mention, Setting, merge

__all__ = ["EntityExtractor", "Mention", "Setting", "extractor_of", "merge"]
