"""Against a real Home Assistant, which nobody has to install: ``MBUSGW_HASS=/path/to/bin/hass`` names it.

2025.4 runs with Python 3.13.0, 2026.11 with 3.14.2 (``pip install homeassistant==2026.11.0``, and what its first start
asks for). ``MBUSGW_HASS_BEFORE`` names an older one for the test of an upgrade.
"""
