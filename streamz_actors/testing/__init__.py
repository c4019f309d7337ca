"""The testing kit: run an application without a broker, without sleeping, under a clock of the test's own."""

from streamz_actors.testing.cluster import TestCluster
from streamz_actors.testing.driver import TestDriver
from streamz_actors.testing.views import Record, TableView
from streamz_actors.testing.wire import Faults

__all__ = ["Faults", "Record", "TableView", "TestCluster", "TestDriver"]
