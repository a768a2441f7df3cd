-- Take the entities of these pages away; new ones follow in the same transaction.
DELETE FROM page_entities WHERE page_id = ANY(%(ids)s)
