-- Which database this is, where one home serves several. One row, drawn once and never changed.

CREATE TABLE instance (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid()
);

CREATE UNIQUE INDEX instance_one_row_idx ON instance ((true));

INSERT INTO instance DEFAULT VALUES;
