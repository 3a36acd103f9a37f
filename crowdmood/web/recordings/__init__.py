"""The list of recordings: sent by visitors, analyzed one after the other, removed."""
