"""Many scenes in one job, on one machine or on a cluster."""
