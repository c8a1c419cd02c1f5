"""Metadata lives in setup.cfg; this file lets older build tools find it."""
from setuptools import setup

setup()
