-- Note domains that are new; in order, so that two imports never wait for each other.
INSERT INTO domains (domain, registered_domain, private_domain, tld)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])
ON CONFLICT DO NOTHING
