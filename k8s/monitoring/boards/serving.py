"""The dashboard of whoever runs the server."""

from __future__ import annotations

from .panels import ASKING, DOOR, TRITON, Board, Kind, Panel, per_second, quantiles


def _time(kind: str) -> tuple[str, str]:
    rate = f"sum by (model) (rate(nv_inference_{kind}_duration_us{{{TRITON}}}[$__rate_interval]))"
    per = f"(sum by (model) (rate(nv_inference_request_success{{{TRITON}}}[$__rate_interval])) > 0)"
    return f"{rate} / {per} / 1e6", "{{model}}"


PROMISES = (
    Panel(
        title="Ready replicas", why="Replicas whose models answer, by their supervisors.", kind=Kind.STAT, width=4,
        queries=((f"sum(infolens_ready{{{DOOR}}})", "ready"), (f"count(up{{{DOOR}}})", "known")),
    ),
    Panel(
        title="Answered, last hour", why="Promised: 99.5 %. A busy server's refusals count as lost.", kind=Kind.STAT,
        width=4, unit="percentunit", queries=(("1 - infolens:lost:ratio_rate1h", "answered"),),
    ),
    Panel(
        title="Within 500 ms, last hour", why="Promised: 99 % of the answers.", kind=Kind.STAT, width=4,
        unit="percentunit", queries=(("1 - infolens:slow:ratio_rate1h", "in time"),),
    ),
    Panel(
        title="How fast the budgets burn", width=12,
        why="1 uses up exactly what the promise allows; somebody is woken at 14.4 in an hour, or 6 in six.",
        queries=(
            ("infolens:lost:ratio_rate5m / 0.005", "lost, 5 min"),
            ("infolens:lost:ratio_rate1h / 0.005", "lost, 1 h"),
            ("infolens:slow:ratio_rate5m / 0.01", "slow, 5 min"),
            ("infolens:slow:ratio_rate1h / 0.01", "slow, 1 h"),
        ),
    ),
)  # fmt: skip
REQUESTS = (
    Panel(
        title="Inferences", why="By route and protocol.", unit="reqps", stacked=True,
        queries=(
            (per_second("door, route", "infolens_request_seconds_count", ASKING), "{{door}} {{route}}"),
        ),
    ),
    Panel(
        title="Time to the answer", why="From the last byte of a request; refusals left out.", unit="s",
        queries=quantiles(f'infolens_request_seconds_bucket{{{ASKING},code=~"200|OK"}}'),
    ),
    Panel(
        title="Times as a heat map", why="Two bands tell of two kinds of requests, such as short and long articles.",
        kind=Kind.HEATMAP, unit="s",
        queries=((f"sum by (le) (increase(infolens_request_seconds_bucket{{{ASKING}}}[$__rate_interval]))", "{{le}}"),),
    ),
    Panel(
        title="Codes", why="Everything but 200 and OK is an error for somebody.", unit="reqps", stacked=True, width=12,
        queries=((per_second("code", "infolens_request_seconds_count", DOOR), "{{code}}"),),
    ),
    Panel(
        title="By key", why="Who asks; the digit is the first of HTTP's code.", unit="reqps", stacked=True, width=12,
        queries=(
            (per_second("key, code_class", "infolens_key_requests_total", DOOR), "{{key}} {{code_class}}"),
        ),
    ),
)  # fmt: skip
WORK = (
    Panel(
        title="Work in hand",
        why="Requests that run and that wait, and the places for which replicas are added. Waiting for long: too few.",
        queries=(
            (f"sum(infolens_waiting_room_running{{{DOOR}}})", "run"),
            (f"sum(infolens_waiting_room_waiting{{{DOOR}}})", "wait"),
            (f"sum(infolens_waiting_room_places{{{DOOR}}})", "places"),
            (f"sum(infolens_waiting_room_kept{{{DOOR}}})", "held by callers who left"),
        ),
    ),
    Panel(
        title="Work for each place", why="Above 1 requests wait; KEDA adds replicas long before.",
        queries=(("infolens:work:per_place", "work"),),
    ),
    Panel(
        title="In flight", why="Inferences that the door has taken on, by protocol.", stacked=True,
        queries=((f"sum by (door) (infolens_requests_in_flight{{{DOOR}}})", "{{door}}"),),
    ),
    Panel(
        title="Refused", why="By reason: busy is ours, invalid is the caller's.", unit="reqps", stacked=True,
        queries=((per_second("reason", "infolens_requests_refused_total", DOOR), "{{reason}}"),),
    ),
    Panel(
        title="Turned away by the waiting room", why="Why a request could not wait.", unit="reqps", stacked=True,
        queries=(
            (per_second("reason", "infolens_waiting_room_refused_total", DOOR), "{{reason}}"),
        ),
    ),
    Panel(
        title="Rows of batches", why="Articles in /v1/analyze/batch, by outcome.", unit="reqps", stacked=True,
        queries=((per_second("outcome", "infolens_batch_rows_total", DOOR), "{{outcome}}"),),
    ),
)  # fmt: skip
MODELS = (
    Panel(
        title="Requests of each model", why="A model whose line ends is not asked any more, or dead.", unit="reqps",
        queries=(
            (per_second("model", "nv_inference_request_success", TRITON), "{{model}}"),
        ),
    ),
    Panel(title="Waiting in Triton", why="For a free instance.", unit="s", queries=(_time("queue"),)),
    Panel(title="Computing", why="In the model itself.", unit="s", queries=(_time("compute_infer"),)),
    Panel(
        title="Rows in a batch", why="What dynamic batching joins.", queries=(("infolens:model:batch", "{{model}}"),),
    ),
    Panel(
        title="Failures", why="By reason; CANCELED are callers who left.", unit="reqps",
        queries=(
            (per_second("model, reason", "nv_inference_request_failure", TRITON), "{{model}} {{reason}}"),
        ),
    ),
    Panel(
        title="Pending in Triton", why="Requests in the queues of the models.", stacked=True,
        queries=((f"sum by (model) (nv_inference_pending_request_count{{{TRITON}}})", "{{model}}"),),
    ),
)  # fmt: skip
HEALTH = (
    Panel(
        title="Models", why="1 answers, 0 does not, by the supervisor.", kind=Kind.TIMELINE, width=12,
        queries=((f"min by (model) (infolens_model_ready{{{DOOR}}})", "{{model}}"),),
    ),
    Panel(
        title="Healed, and started again", why="More than a few in an hour is an illness.", width=6,
        queries=(
            (f"sum(increase(infolens_heals_total{{{DOOR}}}[1h]))", "models, 1 h"),
            (f"sum(increase(infolens_triton_restarts_total{{{DOOR}}}[1h]))", "Triton, 1 h"),
        ),
    ),
    Panel(
        title="Watched", why="1 while the supervisor is heard of; keys away: their store cannot be read.", width=6,
        queries=(
            (f"min by (instance) (infolens_supervised{{{DOOR}}})", "{{instance}} supervised"),
            (f"max by (instance) (infolens_keys_away{{{DOOR}}})", "{{instance}} keys away"),
        ),
    ),
    Panel(
        title="Memory", why="The door's own, and what is used of the machine.", unit="bytes",
        queries=(
            (f"process_resident_memory_bytes{{{DOOR}}}", "{{instance}} door"),
            (f"nv_cpu_memory_used_bytes{{{TRITON}}}", "{{instance}} machine"),
        ),
    ),
    Panel(
        title="Processor", why="Cores of the door, and the share of the machine that is busy.",
        queries=(
            (f"rate(process_cpu_seconds_total{{{DOOR}}}[$__rate_interval])", "{{instance}} door, cores"),
            (f"nv_cpu_utilization{{{TRITON}}}", "{{instance}} machine, share"),
        ),
    ),
    Panel(
        title="Open files", why="Connections are files; the most that may be open stands beside them.",
        queries=(
            (f"process_open_fds{{{DOOR}}}", "{{instance}} open"),
            (f"process_max_fds{{{DOOR}}}", "{{instance}} most"),
        ),
    ),
)  # fmt: skip
GPU = (
    Panel(
        title="Card", why="The share of the time in which it computes. 0 with requests: it runs on the processor.",
        unit="percentunit", only_gpu=True,
        queries=((f"nv_gpu_utilization{{{TRITON}}}", "{{instance}} {{gpu_uuid}}"),),
    ),
    Panel(
        title="Memory of the card", why="Taken before the server is ready, and then as it is.", unit="bytes",
        only_gpu=True,
        queries=(
            (f"nv_gpu_memory_used_bytes{{{TRITON}}}", "{{instance}} used"),
            (f"nv_gpu_memory_total_bytes{{{TRITON}}}", "{{instance}} has"),
        ),
    ),
    Panel(
        title="Power", why="At the limit clocks sink, and steps take longer.", unit="watt", only_gpu=True,
        queries=(
            (f"nv_gpu_power_usage{{{TRITON}}}", "{{instance}} takes"),
            (f"nv_gpu_power_limit{{{TRITON}}}", "{{instance}} may take"),
        ),
    ),
    Panel(
        title="Slots", why="Articles that are being summarized, those that wait for a place, and the places.",
        only_gpu=True,
        queries=(
            (f"sum by (model) (infolens_engine_slots_busy{{{DOOR}}})", "{{model}} busy"),
            (f"sum by (model) (infolens_engine_waiting{{{DOOR}}})", "{{model}} waiting"),
            (f"sum by (model) (infolens_engine_slots{{{DOOR}}})", "{{model}} places"),
        ),
    ),
    Panel(
        title="Articles in a step", why="How many share one: the more, the cheaper each.", only_gpu=True,
        queries=(
            (
                f"{per_second('model', 'infolens_engine_slot_steps_total', DOOR)} / "
                f"({per_second('model', 'infolens_engine_steps_total', DOOR)} > 0)",
                "{{model}}",
            ),
        ),
    ),
    Panel(
        title="Batches without a graph", why="Of a shape that none was captured for; they take several times as long.",
        unit="reqps", only_gpu=True,
        queries=(
            (per_second("model", "infolens_graph_misses_total", DOOR), "{{model}} without"),
            (per_second("model", "infolens_graph_runs_total", DOOR), "{{model}} with"),
        ),
    ),
)  # fmt: skip
SERVING = Board(
    uid="infolens-serving",
    title="Info Lens: serving",
    why="Whether people get what they are promised, and where it is held up.",
    instances="infolens_ready",
    rows=(
        ("Promises", PROMISES),
        ("Requests", REQUESTS),
        ("Work", WORK),
        ("Models", MODELS),
        ("Health", HEALTH),
        ("GPU", GPU),
    ),
)
