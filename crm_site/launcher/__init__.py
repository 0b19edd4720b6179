"""Servers and processes around the program: see README.md beside this file."""
