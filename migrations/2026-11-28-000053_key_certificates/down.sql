ALTER TABLE api_keys DROP COLUMN by_certificate;
