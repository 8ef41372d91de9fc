"""Where scenes and data sets come from."""
