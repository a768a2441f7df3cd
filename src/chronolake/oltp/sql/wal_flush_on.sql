-- Let this transaction's commit wait for the disk, whatever the server is set to.
SET LOCAL synchronous_commit = on
