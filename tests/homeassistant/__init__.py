"""Against a real Home Assistant, which nobody has to install: ``MBUSGW_HASS=/path/to/bin/hass`` names it.

2024.12 runs with Python 3.12, 2025.4 with 3.13.0, 2025.12 with 3.13.5 and 2026.11 with 3.14.2:
``pip install homeassistant==2026.11.0``. What it lacks it installs when it first starts, which may take longer than a
test waits, so start it once. ``MBUSGW_HASS_BEFORE`` names an older one for the test of an upgrade.
"""
