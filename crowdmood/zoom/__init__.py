"""What Zoom leaves: names of files, folders, parts and their clocks."""
