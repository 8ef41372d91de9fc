"""The sun against published worked examples."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from groklst_engine.physics.solar import sun_equatorial, sun_position


def test_meeus_example_25a() -> None:
    """1992 October 13, 0h dynamical time, which was 59 s ahead: right ascension 198.38083°, declination −7.78507°."""
    when = datetime(1992, 10, 13, tzinfo=timezone.utc) - timedelta(seconds=59)
    ascension, declination, _ = sun_equatorial(when)
    assert ascension == pytest.approx(198.38083, abs=0.002)
    assert declination == pytest.approx(-7.78507, abs=0.001)


def test_meeus_example_12b() -> None:
    """1987 April 10, 19h 21m 0s universal time: mean sidereal time at Greenwich 128.73787°."""
    assert sun_equatorial(datetime(1987, 4, 10, 19, 21))[2] == pytest.approx(128.73787, abs=1e-3)


def test_the_example_of_the_solar_position_algorithm() -> None:
    """Reda and Andreas (2004), appendix A.5: Golden, Colorado, 2003 October 17, 12:30:30 at UTC − 7.

    Their zenith angle is 50.11162°, with 0.02° of refraction and parallax; their azimuth 194.34024°.
    """
    when = datetime(2003, 10, 17, 12, 30, 30, tzinfo=timezone(timedelta(hours=-7)))
    elevation, azimuth = sun_position(when, 39.742476, -105.1786)
    assert 90 - elevation == pytest.approx(50.11162, abs=0.03)
    assert azimuth == pytest.approx(194.34024, abs=0.02)


@pytest.mark.parametrize(
    ("when", "latitude", "longitude", "elevation", "azimuth"),
    [
        (datetime(2024, 3, 20, 12, 7), 0.0, 0.0, 90.0, None),  # noon at the equator at the equinox
        (datetime(2024, 6, 20, 12, 2), 51.4779, 0.0, 90 - 51.4779 + 23.44, 180.0),  # Greenwich, solstice
        (datetime(2024, 12, 21, 11, 58), 80.0, 0.0, 90 - 80 - 23.44, 180.0),  # polar night
        (datetime(2024, 12, 21, 2, 0), -33.87, 151.21 - 1.75, 90 - 33.87 + 23.44 - 0.01, 0.0),  # near Sydney, noon
    ],
)
def test_noon(when: datetime, latitude: float, longitude: float, elevation: float, azimuth: float | None) -> None:
    height, bearing = sun_position(when, latitude, longitude)
    assert height == pytest.approx(min(elevation, 180 - elevation), abs=0.3)
    if azimuth is not None:
        assert abs((bearing - azimuth + 180) % 360 - 180) < 3
