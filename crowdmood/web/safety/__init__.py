"""Who may ask what of the web application, and how much."""
