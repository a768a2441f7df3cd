-- What the lake is owed goes by nothing but its own row: truncating projects takes the imports along, yet not the
-- captures, and their promises must not go with the imports.
ALTER TABLE ledger DROP CONSTRAINT ledger_import_id_fkey;
