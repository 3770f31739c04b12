"""Values and rules that every room shares: attempts, events, windows, usage. No input or output."""
