"""The testing kit: run an application without a broker, without sleeping, under a clock of the test's own."""

from streamz_actors.testing.driver import Record, TableView, TestDriver

__all__ = ["Record", "TableView", "TestDriver"]
