"""The page of a recording, and everything of a run for programs."""
