"""Example applications, each in a folder of its own, with a test and a README."""
