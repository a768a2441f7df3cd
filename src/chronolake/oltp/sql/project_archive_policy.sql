-- Where a project collects from, after it was told anew or not.
UPDATE projects SET archive_policy = coalesce(%(told)s, archive_policy) WHERE id = %(project_id)s
RETURNING archive_policy
