"""What the application made, in the shape of the truth's rows, so that both can be compared."""

from collections.abc import Mapping
from datetime import UTC, datetime

from apps.flights.models import Alert, CarrierStats, Enriched, RouteStats
from apps.flights.truth import AlertRow, CarrierRow, EnrichedRow, RouteRow


def carrier_rows(table: Mapping[str, CarrierStats]) -> dict[str, CarrierRow]:
    return {
        carrier: (stats.flights, stats.cancelled, stats.dep_delay_sum, stats.dep_delay_count)
        for carrier, stats in table.items()
    }


def route_rows(table: Mapping[str, RouteStats]) -> dict[str, RouteRow]:
    return {route: (stats.flights, stats.worst_arr_delay) for route, stats in table.items()}


def enriched_row(enriched: Enriched) -> EnrichedRow:
    flight = enriched.flight
    return (
        iso(flight.scheduled),
        flight.carrier,
        flight.flight,
        flight.origin,
        flight.dest,
        flight.tailnum,
        enriched.airline,
        enriched.model,
        enriched.seats,
        enriched.destination,
    )


def alert_row(alert: Alert) -> AlertRow:
    return (
        alert.origin,
        alert.carrier,
        alert.flight,
        alert.dest,
        iso(alert.scheduled),
        alert.dep_delay,
        alert.visib,
        iso(alert.observed),
    )


def iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
