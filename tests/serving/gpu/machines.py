"""What a driver says of a machine."""

from __future__ import annotations

from serving.gpu.driver import Driver, Gpu

H100 = Driver(
    device_files=True,
    loaded=True,
    cuda_version=(13, 0),
    gpus=(Gpu(name="NVIDIA H100 80GB HBM3", compute_capability=(9, 0)),),
    free_bytes=80 << 30,
)
