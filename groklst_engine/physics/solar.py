"""Where the sun stands: enough for the shading of terrain, not for astronomy.

The low-precision formulas of Meeus (Astronomical Algorithms, 2nd edition 1998, chapters 12, 13, 22 and 25), which
NOAA's solar calculator uses, too. Good to about 0.01° between 1900 and 2100; refraction is left out.
"""

from __future__ import annotations

import math
from datetime import datetime, timezone

import numpy as np
from numpy.typing import NDArray

Degrees = NDArray[np.float64]

J2000 = datetime(2000, 1, 1, 12, tzinfo=timezone.utc)


def sun_equatorial(when: datetime) -> tuple[float, float, float]:
    """Right ascension and declination of the sun, and Greenwich's sidereal time, all in degrees.

    Args:
        when: A time without a zone is UTC.
    """
    utc = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    days = (utc - J2000).total_seconds() / 86400
    t = days / 36525
    mean_longitude = 280.46646 + 36000.76983 * t
    anomaly = math.radians(357.52911 + 35999.05029 * t)
    centre = (
        (1.914602 - 0.004817 * t) * math.sin(anomaly)
        + (0.019993 - 0.000101 * t) * math.sin(2 * anomaly)
        + 0.000289 * math.sin(3 * anomaly)
    )
    node = math.radians(125.04 - 1934.136 * t)
    longitude = math.radians(mean_longitude + centre - 0.00569 - 0.00478 * math.sin(node))
    obliquity = math.radians(23.439291 - 0.013004 * t + 0.00256 * math.cos(node))
    ascension = math.degrees(math.atan2(math.cos(obliquity) * math.sin(longitude), math.cos(longitude)))
    declination = math.degrees(math.asin(math.sin(obliquity) * math.sin(longitude)))
    sidereal = 280.46061837 + 360.98564736629 * days
    return ascension % 360, declination, sidereal % 360


def sun_position(when: datetime, latitude: Degrees | float, longitude: Degrees | float) -> tuple[Degrees, Degrees]:
    """Where the sun stands above places.

    Args:
        when: A time without a zone is UTC.
        latitude: Degrees, north positive.
        longitude: Degrees, east positive.

    Returns:
        Elevation above the horizon and azimuth from north over east, degrees.
    """
    ascension, declination, sidereal = sun_equatorial(when)
    hour = np.radians(sidereal + longitude - ascension)
    phi, delta = np.radians(latitude), math.radians(declination)
    elevation = np.arcsin(np.sin(phi) * math.sin(delta) + np.cos(phi) * math.cos(delta) * np.cos(hour))
    azimuth = np.arctan2(
        -math.cos(delta) * np.sin(hour), math.sin(delta) * np.cos(phi) - math.cos(delta) * np.cos(hour) * np.sin(phi)
    )
    return np.degrees(elevation), np.degrees(azimuth) % 360
