"""The steps of packaging: fill vendor/, list what ships, check the zip, count the worst month."""
