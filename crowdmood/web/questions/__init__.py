"""SQL and reports in the browser, each question in a process of its own."""
