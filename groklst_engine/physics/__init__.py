"""Sensor, sun and ground: point spread functions, radiance, terrain, indices, registration."""
