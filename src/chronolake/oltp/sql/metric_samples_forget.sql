-- Let go of samples that are older than anybody asks for; so many at a time that no lock is held for long.
DELETE FROM metric_samples
WHERE id IN (SELECT id FROM metric_samples WHERE sampled_at < %(before)s ORDER BY sampled_at LIMIT %(limit)s)
