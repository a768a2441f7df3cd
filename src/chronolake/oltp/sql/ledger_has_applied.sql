-- Whether any batch is noted as being in the lake.
SELECT EXISTS (SELECT FROM ledger WHERE applied_snapshot IS NOT NULL)
