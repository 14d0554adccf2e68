"""REST, version 1: translate in, one call, translate out."""
