-- The roles of an installation, made once and left alone after; run by a superuser with psql 15 or newer:
--
--   psql --file deploy/postgres/roles.sql
--
-- APP_PASSWORD and SEQUENCER_PASSWORD are read from the environment, where they are set, so that no password stands on a
-- command line; where they are not, a role can not sign in before `\password` and `ALTER ROLE ... LOGIN`. What each may do
-- comes later, from `manage.py grant_roles`.
\set ON_ERROR_STOP on
SELECT format('CREATE ROLE %I NOLOGIN', name)
FROM (VALUES ('accord_app'), ('accord_sequencer'), ('accord_dpo')) wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
\getenv app_password APP_PASSWORD
\if :{?app_password}
ALTER ROLE accord_app LOGIN PASSWORD :'app_password';
\endif
\getenv sequencer_password SEQUENCER_PASSWORD
\if :{?sequencer_password}
ALTER ROLE accord_sequencer LOGIN PASSWORD :'sequencer_password';
\endif
