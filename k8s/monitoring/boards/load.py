"""The dashboard of a load test: what its generator sees beside what the server says."""

from __future__ import annotations

from .panels import ASKING, DOOR, Board, Kind, Panel, per_second, quantiles

LOAD = 'job="infolens-load"'
BOARD = Board(
    uid="infolens-load",
    title="Info Lens: load test",
    why="python -m benchmarks load --metrics-port, or locust --metrics-port, beside the server that it asks.",
    instances="infolens_ready",
    rows=(
        (
            "The generator",
            (
                Panel(
                    title="Asked for", why="The rate of the step that runs.", kind=Kind.STAT, width=4, unit="reqps",
                    queries=((f"max(infolens_load_asked_per_second{{{LOAD}}})", "asked"),),
                ),
                Panel(
                    title="Sent, and what came of it", why="Lines that part: the server falls behind, or refuses.",
                    unit="reqps", width=10,
                    queries=(
                        (f"sum(rate(infolens_load_sent_total{{{LOAD}}}[$__rate_interval]))", "sent"),
                        (per_second("outcome", "infolens_load_seconds_count", LOAD), "{{outcome}}"),
                    ),
                ),
                Panel(
                    title="Latency as callers see it", why="From when a request was due (open loop).", unit="s",
                    width=10,
                    queries=quantiles(f'infolens_load_seconds_bucket{{{LOAD},outcome="answered"}}'),
                ),
            ),
        ),
        (
            "The server",
            (
                Panel(
                    title="Time to the answer, in the door", why="What is missing to the callers' is the way there.",
                    unit="s",
                    queries=quantiles(f'infolens_request_seconds_bucket{{{ASKING},code=~"200|OK"}}'),
                ),
                Panel(
                    title="Work in hand", why="Waiting that grows: the rate is above what the server can do.",
                    queries=(
                        (f"sum(infolens_waiting_room_running{{{DOOR}}})", "run"),
                        (f"sum(infolens_waiting_room_waiting{{{DOOR}}})", "wait"),
                        (f"sum(infolens_waiting_room_places{{{DOOR}}})", "places"),
                    ),
                ),
                Panel(
                    title="Answered and refused, by the door", why="By code.", unit="reqps", stacked=True,
                    queries=(
                        (per_second("code", "infolens_request_seconds_count", ASKING), "{{code}}"),
                    ),
                ),
            ),
        ),
    ),
)  # fmt: skip
