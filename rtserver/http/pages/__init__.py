"""Pages and static files, and the browser client."""
