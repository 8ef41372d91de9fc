"""The benchmark's table, figure and files."""
