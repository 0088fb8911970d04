"""What is seen of a server: dashboards as code; rules and the runbook lie beside it."""
