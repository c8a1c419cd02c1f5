"""Floor 2: the ports bytes come through."""
