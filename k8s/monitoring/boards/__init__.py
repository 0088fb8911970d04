"""The dashboards: what each panel shows, and the queries that it asks."""
