-- Take back the note of a change that could not be made.
DELETE FROM optimizer_log WHERE id = %(id)s
