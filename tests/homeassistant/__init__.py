"""Against a real Home Assistant, which nobody has to install: ``MBUSGW_HASS=/path/to/bin/hass`` names it.

Version 2025.4 runs with Python 3.13.0 (``pip install homeassistant==2025.4.4``, and what its first start asks for);
newer ones want a newer Python.
"""
