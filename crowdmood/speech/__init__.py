"""Who speaks and what people are called: side files and finished tables become the tables speech and names."""
