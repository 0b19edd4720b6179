"""Django's PostgreSQL backend, taught the shape of tenant tables (see crm_site.lib.tenancy)."""
