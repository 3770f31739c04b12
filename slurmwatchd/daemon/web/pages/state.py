"""The daemon: how far it has read, its sinks, its quarantine, and what is wrong."""

from slurmwatchd.daemon.web.pages.view import View
from slurmwatchd.daemon.web.pages.visit import Visit


async def view(visit: Visit) -> View:
    """Show the daemon's state."""
    visit.only()
    status = await visit.ask("/status", link="Status")
    coverage = await visit.ask("/coverage", link="Coverage")
    return View(
        template="daemon.html",
        context={
            "status": status,
            "holes": [
                {"cluster": cluster["cluster"], **hole}
                for cluster in coverage["clusters"]
                for hole in cluster["holes"]
            ],
        },
    )
