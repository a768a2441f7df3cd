-- Forget an export.
DELETE FROM exports WHERE id = %s
