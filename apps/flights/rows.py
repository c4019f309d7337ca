"""What the application made, in the shape of the truth's rows, so that both can be compared."""

from collections.abc import Mapping
from datetime import UTC, datetime

from apps.flights.models import Alert, CarrierStats, Enriched, Hour, Leg, Rotation, RouteStats, Worst
from apps.flights.truth import AlertRow, CarrierRow, EnrichedRow, HourRow, LegRow, RotationRow, RouteRow, WorstRow
from streamz_actors import Windowed


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


def hour_rows(table: Mapping[Windowed[str], Hour]) -> dict[tuple[str, str], HourRow]:
    return {
        (key.key, iso(key.start)): (hour.flights, hour.dep_delay_sum, hour.dep_delay_count)
        for key, hour in table.items()
    }


def rotation_rows(table: Mapping[Windowed[str], Rotation]) -> dict[tuple[str, str], RotationRow]:
    return {
        (key.key, iso(key.start)): (iso(key.end), rotation.flights, rotation.air_time)
        for key, rotation in table.items()
    }


def leg_row(leg: Leg) -> LegRow:
    return (iso(leg.scheduled), leg.carrier, leg.flight, leg.origin, leg.dest, iso(leg.landed), leg.arr_delay)


def worst_rows(table: Mapping[str, Worst]) -> dict[str, list[WorstRow]]:
    return {
        day: [(route.route, route.arr_delay_sum, route.arr_delay_count) for route in worst.routes]
        for day, worst in table.items()
    }


def iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
