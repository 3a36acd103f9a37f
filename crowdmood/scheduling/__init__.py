"""Jobs: what is analyzed, with which settings, into which results, and when."""
