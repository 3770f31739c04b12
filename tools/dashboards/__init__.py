"""The Grafana dashboards of packaging/grafana, from short descriptions of their panels.

tests/acceptance/test_process_dashboards.py runs every query; tests/unit/test_dashboards.py holds the files to
Grafana's schema.
"""

from tools.dashboards import accounts, daemon, nodes, site
from tools.dashboards.grafana import render

DASHBOARDS = (site.SITE, accounts.ACCOUNTS, nodes.NODES, daemon.DAEMON)

__all__ = ["DASHBOARDS", "render"]
