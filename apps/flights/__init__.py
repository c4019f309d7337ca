"""A year of real flights: counts per carrier and route, an enriched stream, alerts. See README.md."""

from apps.flights.app import app

__all__ = ["app"]
