-- What SQLite's SQL has and PostgreSQL's has not, so that both are asked the same questions.

CREATE OR REPLACE FUNCTION iif(condition BOOLEAN, one TEXT, other TEXT) RETURNS TEXT
LANGUAGE sql IMMUTABLE AS 'SELECT CASE WHEN condition THEN one ELSE other END';

CREATE OR REPLACE FUNCTION hex(data BYTEA) RETURNS TEXT
LANGUAGE sql IMMUTABLE AS $$SELECT upper(encode(data, 'hex'))$$;

CREATE OR REPLACE FUNCTION unhex(digits TEXT) RETURNS BYTEA
LANGUAGE sql IMMUTABLE AS $$SELECT decode(digits, 'hex')$$;

CREATE OR REPLACE FUNCTION listed(list TEXT) RETURNS TABLE (value TEXT)
LANGUAGE sql IMMUTABLE AS 'SELECT jsonb_array_elements_text(list::JSONB)';

CREATE OR REPLACE AGGREGATE total(BIGINT) (SFUNC = int8pl, STYPE = BIGINT, INITCOND = '0');

CREATE OR REPLACE FUNCTION json_extract(document TEXT, path TEXT) RETURNS TEXT
LANGUAGE sql IMMUTABLE AS $$SELECT document::JSONB #>> string_to_array(substr(path, 3), '.')$$;
