"""The dashboard of a Ray cluster that trains. What a run learns (loss, scores) stands in MLflow and not here."""

from __future__ import annotations

from .panels import Board, Kind, Panel

RAY = 'instance=~"$instance"'
BOARD = Board(
    uid="infolens-training",
    title="Info Lens: training",
    why="The machines under `fit`, `tune` and `compare`, from Ray's own metrics. Loss and scores are in MLflow.",
    instances="ray_node_cpu_count",
    rows=(
        (
            "Jobs",
            (
                Panel(
                    title="Jobs", why="Running, and ended since Ray was started.", kind=Kind.STAT, width=6,
                    queries=(("sum(ray_running_jobs)", "run"), ("sum(ray_finished_jobs_total)", "ended")),
                ),
                Panel(
                    title="Actors", why="Workers are actors.",
                    width=9, queries=(("sum by (State) (ray_gcs_actors_count)", "{{State}}"),),
                ),
                Panel(
                    title="Memory by what Ray runs", why="One that grows and grows will be killed.", width=9,
                    unit="bytes", stacked=True,
                    queries=((f"sum by (Component) (ray_component_rss_bytes{{{RAY}}})", "{{Component}}"),),
                ),
            ),
        ),
        (
            "Machines",
            (
                Panel(
                    title="Busy cores", why="Beside the cores that there are: idle ones in a run wait for data.",
                    queries=(
                        (f"ray_node_cpu_utilization{{{RAY}}} * ray_node_cpu_count{{{RAY}}} / 100", "{{instance}} busy"),
                        (f"ray_node_cpu_count{{{RAY}}}", "{{instance}} there"),
                    ),
                ),
                Panel(
                    title="Memory", why="Ray ends workers from 95 % on.", unit="percentunit",
                    queries=((f"ray_node_mem_used{{{RAY}}} / ray_node_mem_total{{{RAY}}}", "{{instance}}"),),
                ),
                Panel(
                    title="Network", why="What workers exchange: gradients, and weights under FSDP.", unit="Bps",
                    queries=(
                        (f"ray_node_network_send_speed{{{RAY}}}", "{{instance}} out"),
                        (f"ray_node_network_receive_speed{{{RAY}}}", "{{instance}} in"),
                    ),
                ),
                Panel(
                    title="Disk", why="Checkpoints need room.", unit="bytes",
                    queries=((f"ray_node_disk_free{{{RAY}}}", "{{instance}} free"),),
                ),
                Panel(
                    title="GPUs", why="Low: data or the network hold it up.", unit="percent", only_gpu=True,
                    queries=((f"ray_node_gpus_utilization{{{RAY}}}", "{{instance}} {{GpuIndex}}"),),
                ),
                Panel(
                    title="GPU memory", why="Full: a smaller batch.", unit="decmbytes", only_gpu=True,
                    queries=((f"ray_node_gram_used{{{RAY}}}", "{{instance}} {{GpuIndex}}"),),
                ),
            ),
        ),
    ),
)  # fmt: skip
