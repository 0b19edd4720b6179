"""Who looks after whom: assignment, its rules, queue and history; dashboards of portfolios."""
