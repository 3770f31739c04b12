"""A store that was damaged: how that is seen, what is saved, and what must not be delivered again."""
