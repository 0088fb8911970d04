"""An autoscaler's day: its own numbers, against a load with ramps and a burst."""
