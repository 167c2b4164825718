"""The composition root: the only place that wires, and that touches the reactor.

``gateway.py`` builds and joins the parts, ``daemon.py`` runs them under signals, ``check.py`` tries a configuration out.
"""
