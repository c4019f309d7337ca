"""An agent, a table and an aggregation over orders. See README.md."""

from apps.orders.app import app

__all__ = ["app"]
