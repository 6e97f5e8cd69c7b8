"""Many devices and processes: meshes, preemption, stalls."""
