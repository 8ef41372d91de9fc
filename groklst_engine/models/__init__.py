"""The networks: one file each, and the table of all of them in ``zoo.py``."""
