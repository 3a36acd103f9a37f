"""Albums of photos: sent, ranked, shown."""
