"""Folders of photos: each is a run, a photo a frame; ranked, shown, copied."""
