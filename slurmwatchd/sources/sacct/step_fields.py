"""Which of sacct's fields are asked for of attempts and their steps."""

FIELDS = (
    "JobIDRaw", "Submit", "DBIndex", "State", "End", "TotalCPU", "UserCPU", "SystemCPU", "ConsumedEnergyRaw",
    "TRESUsageInTot", "TRESUsageInMax", "TRESUsageInAve", "TRESUsageOutTot",
)  # fmt: skip
"""What sums need. Every release from 20.11 on prints these."""

STEP_FIELDS = ("JobName", "Start", "ElapsedRaw", "ExitCode", "NNodes", "NTasks", "NCPUS", "NodeList")
"""What a step's own record needs, besides."""

SPENT = {
    "cpu_seconds": "TotalCPU",
    "user_cpu_seconds": "UserCPU",
    "system_cpu_seconds": "SystemCPU",
    "energy_joules": "ConsumedEnergyRaw",
}
"""What attempts and steps have alike, and sacct's names for it."""

Key = tuple[int, int]
"""job_id_raw and submit."""
