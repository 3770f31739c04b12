"""What keeps a machine from running the service: `machine.py` looks at files and the port, `slurm.py` at Slurm."""
