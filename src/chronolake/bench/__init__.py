"""Measuring: generated captures of any number, and the time that each engine takes over them."""
