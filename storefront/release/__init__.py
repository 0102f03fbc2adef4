"""A shop of another name, and a newer release for it: new, update."""
