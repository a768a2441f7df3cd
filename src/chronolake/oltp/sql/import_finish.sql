-- Close the account of an import.
UPDATE imports
SET state = %(state)s, finished_at = now(), read = %(read)s, stored = %(stored)s, duplicate = %(duplicate)s,
    rejected = %(rejected)s, repaired = %(repaired)s, rejected_by_reason = %(rejected_by_reason)s
WHERE id = %(import_id)s
