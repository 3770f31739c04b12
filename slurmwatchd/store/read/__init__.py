"""The store for those who do not own it: what it knows, opened beside a daemon or without one."""
