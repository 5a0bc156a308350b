-- Run by set-up, as the superuser.
\set owner_password `printf %s "$owner"`
\set application_password `printf %s "$application"`

-- The server's log must not repeat values of a refused row.
ALTER SYSTEM SET log_error_verbosity = 'terse';
ALTER SYSTEM SET log_min_error_statement = 'panic';
SELECT pg_reload_conf();
-- Nor these statements.
SET log_statement = 'none';

SELECT 'CREATE ROLE neuroscan_owner LOGIN'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'neuroscan_owner') \gexec
SELECT 'CREATE ROLE neuroscan LOGIN'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'neuroscan') \gexec
ALTER ROLE neuroscan_owner PASSWORD :'owner_password';
ALTER ROLE neuroscan PASSWORD :'application_password';

-- Whatever the cluster was made with; the order of bytes needs no locale of the host.
SELECT 'CREATE DATABASE neuroscan OWNER neuroscan_owner TEMPLATE template0'
       ' ENCODING ''UTF8'' LOCALE ''C.UTF-8'''
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'neuroscan') \gexec
REVOKE ALL ON DATABASE neuroscan FROM PUBLIC;
GRANT CONNECT ON DATABASE neuroscan TO neuroscan;
\connect neuroscan
ALTER SCHEMA public OWNER TO neuroscan_owner;
